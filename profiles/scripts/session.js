// A session cookie: the jar keeps it, and the script looks into the jar.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = { thresholds: { http_req_failed: ['rate<0.01'] } };

export default function () {
  const signedIn = http.post(`${BASE_URL}/session`, { user: `user${__VU}`, password: 'secret' });
  check(signedIn, {
    'a session began': (r) => r.status === 200,
    'the cookie was set': (r) => r.cookies.session && r.cookies.session[0].value.length > 0,
  });

  const jar = http.cookieJar();
  check(jar.cookiesForURL(BASE_URL), { 'the jar has it': (c) => c.session.length === 1 });

  const account = http.get(`${BASE_URL}/account`, { cookies: { theme: 'dark' } });
  check(account, {
    'it is my account': (r) => r.json('user') === `user${__VU}`,
    'with my theme': (r) => r.json('theme') === 'dark',
  });

  http.del(`${BASE_URL}/session`);
  const out = http.get(`${BASE_URL}/account`, { responseCallback: http.expectedStatuses(401) });
  check(out, { 'signed out': (r) => r.status === 401 });
  sleep(1);
}
