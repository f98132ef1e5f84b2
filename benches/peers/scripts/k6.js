// k6 as a peer: WORK says what every user does. Prints its percentiles as one line.
import http from "k6/http";

export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ["med", "p(99)"],
};

const body = '{"id":"6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11","user":"u1","text":"what breaks first?"}';
const params = { headers: { "content-type": "application/json" }, timeout: "600s" };

export default function () {
  if (__ENV.WORK === "post" || __ENV.WORK === "tokens") {
    http.post(`${__ENV.URL}/${__ENV.WORK}`, body, params);
  } else {
    http.get(`${__ENV.URL}/${__ENV.WORK}`, params);
  }
}

export function handleSummary(data) {
  const took = data.metrics.http_req_duration.values;
  return { stdout: `p50_ms=${took.med} p99_ms=${took["p(99)"]}\n` };
}
