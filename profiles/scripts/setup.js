// Logs in once for all, and signs out once at the end.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export function setup() {
  const res = http.post(`${BASE_URL}/api/login`, JSON.stringify({ user: 'load', password: 'secret' }), {
    headers: { 'Content-Type': 'application/json' },
  });
  if (res.status !== 200) {
    throw new Error(`setup could not log in: ${res.status}`);
  }
  return { token: res.json('token'), since: Date.now() };
}

export default function (data) {
  const res = http.get(`${BASE_URL}/api/orders`, {
    headers: { Authorization: `Bearer ${data.token}` },
  });
  check(res, { 'orders for everybody': (r) => r.status === 200 });
  sleep(1);
}

export function teardown(data) {
  http.post(`${BASE_URL}/api/logout`, null, { headers: { Authorization: `Bearer ${data.token}` } });
  console.log(`the test took ${Math.round((Date.now() - data.since) / 1000)} s`);
}
