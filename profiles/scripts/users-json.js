// A user for each VU, from a JSON file.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

const users = new SharedArray('users', function () {
  return JSON.parse(open('data/users.json'));
});

export default function () {
  const user = users[(exec.vu.idInTest - 1) % users.length];
  const res = http.post(`${BASE_URL}/api/login`, JSON.stringify(user), {
    headers: { 'Content-Type': 'application/json' },
  });
  check(res, { 'logged in': (r) => r.json('user') === user.user });
  sleep(1);
}
