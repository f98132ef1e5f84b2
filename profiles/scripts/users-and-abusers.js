// Users who ask a question now and then, and abusers who ask as fast as they can:
// `--population users` searches for the number of users beside the abusers, and the reverse.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = {
  scenarios: {
    users: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [{ duration: '30s', target: 100 }, { duration: '1m', target: 100 }],
      exec: 'ask',
      env: { ROLE: 'user' },
      tags: { role: 'user' },
    },
    abusers: {
      executor: 'constant-vus',
      vus: 3,
      duration: '90s',
      exec: 'hammer',
      tags: { role: 'abuser' },
    },
  },
  thresholds: {
    'http_req_duration{role:user}': ['p(99)<2000'],
    'http_req_failed{role:user}': ['rate<0.01'],
  },
};

function question(text) {
  return http.post(`${BASE_URL}/api/questions`, JSON.stringify({ text, role: __ENV.ROLE }), {
    headers: { 'Content-Type': 'application/json' },
  });
}

export function ask() {
  check(question('How much does it cost?'), { accepted: (r) => r.status === 202 });
  sleep(2);
}

export function hammer() {
  question('x'.repeat(200));
  sleep(0.05);
}
