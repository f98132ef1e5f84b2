// Users from a CSV file, read once for all VUs.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import papaparse from 'https://jslib.k6.io/papaparse/5.1.1/index.js';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

const users = new SharedArray('users', () =>
  papaparse.parse(open('./data/users.csv'), { header: true, skipEmptyLines: true }).data);

export default function () {
  const user = users[Math.floor(Math.random() * users.length)];
  const res = http.post(`${BASE_URL}/api/login`, JSON.stringify(user), {
    headers: { 'Content-Type': 'application/json' },
  });
  check(res, {
    'logged in': (r) => r.status === 200,
    'as this user': (r) => r.json('user') === user.user,
  });
  sleep(0.5);
}
