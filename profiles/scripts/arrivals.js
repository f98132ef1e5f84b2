// A rate of arrivals: `find` searches for the rate.
import http from 'k6/http';
import { check } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = {
  scenarios: {
    visits: {
      executor: 'constant-arrival-rate',
      rate: 50,
      timeUnit: '1s',
      duration: '1m',
      preAllocatedVUs: 20,
      maxVUs: 200,
    },
  },
  thresholds: { http_req_duration: ['p(95)<500'], dropped_iterations: ['count<10'] },
};

export default function () {
  check(http.get(`${BASE_URL}/api/prices`), { ok: (r) => r.status === 200 });
}
