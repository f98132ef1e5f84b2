// A k6 script that this program runs itself: WORK says what every user does.
import http from "k6/http";
import { check } from "k6";

const url = __ENV.URL;
const body = JSON.stringify({
  id: "6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11",
  user: "u1",
  text: "what breaks first?",
});
const params = { headers: { "content-type": "application/json" }, timeout: "600s" };

export const options = { thresholds: { http_req_failed: ["rate<0.01"] } };

function simple() {
  const res = http.get(`${url}/get`);
  check(res, { "status is 200": (r) => r.status === 200 });
}

function typical() {
  const res = http.post(`${url}/session`, body, params);
  check(res, {
    "status is 200": (r) => r.status === 200,
    "it is ok": (r) => r.json("ok") === true,
    "it has items": (r) => r.json("items").length > 0,
    "it is quick": (r) => r.timings.duration < 60000,
  });
  const item = res.json().items.find((i) => i.price > 4).id;
  const got = http.get(`${url}/get?item=${item}`, { tags: { name: "item" } });
  check(got, { "the item is there": (r) => r.status === 200 });
}

const works = { script: simple, typical, hold: () => http.get(`${url}/hold`, { timeout: "600s" }) };

export default works[__ENV.WORK];
