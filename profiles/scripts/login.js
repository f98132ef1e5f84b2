// Logs in, keeps the token that comes back, and uses it.
import http from 'k6/http';
import { check, fail, group, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = {
  thresholds: {
    'http_req_duration{name:login}': ['p(95)<800'],
    'http_req_duration{name:orders}': ['p(95)<500'],
    checks: ['rate>0.99'],
  },
};

function login(user, password) {
  const res = http.post(
    `${BASE_URL}/api/login`,
    JSON.stringify({ user, password }),
    { headers: { 'Content-Type': 'application/json' }, tags: { name: 'login' } },
  );
  const ok = check(res, {
    'logged in': (r) => r.status === 200,
    'has a token': (r) => r.json('token') !== undefined,
  });
  if (!ok) {
    fail(`${user} could not log in: ${res.status}`);
  }
  return res.json('token');
}

export default function () {
  const token = group('sign in', () => login(`user${__VU}`, 'secret'));
  const params = {
    headers: { Authorization: `Bearer ${token}` },
    tags: { name: 'orders' },
  };

  group('orders', () => {
    const list = http.get(`${BASE_URL}/api/orders`, params);
    check(list, {
      'orders listed': (r) => r.status === 200,
      'has orders': (r) => r.json('orders.#') > 0,
    });
    const first = list.json('orders.0.id');
    const one = http.get(`${BASE_URL}/api/orders/${first}`, params);
    check(one, { 'order shown': (r) => r.json().id === first });
  });

  sleep(Math.random() * 2 + 1);
}
