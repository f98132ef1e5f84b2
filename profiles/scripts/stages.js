// Up, level, down: `ramp` follows the stages, `find` searches for the level.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = {
  stages: [
    { duration: '2s', target: 10 },
    { duration: '3s', target: 10 },
    { duration: '1s', target: 0 },
  ],
  thresholds: {
    http_req_duration: [{ threshold: 'p(95)<800', abortOnFail: true, delayAbortEval: '10s' }],
    http_req_failed: ['rate<0.05'],
  },
};

export default function () {
  const res = http.get(`${BASE_URL}/items`, { timeout: '5s' });
  check(res, { ok: (r) => r.status === 200 });
  sleep(0.2);
}
