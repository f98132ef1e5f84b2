// Redirects that are followed, one that is not, and errors that are expected.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 404));

export default function () {
  const there = http.get(`${BASE_URL}/old`);
  check(there, {
    'the last answer counts': (r) => r.status === 200,
    'its address too': (r) => r.url === `${BASE_URL}/items`,
  });

  const here = http.get(`${BASE_URL}/old`, { redirects: 0 });
  check(here, {
    'not followed': (r) => r.status === 302,
    'it says where': (r) => r.headers['Location'] === '/items',
  });

  const none = http.get(`${BASE_URL}/nothing`);
  check(none, { 'a 404 is no failure here': (r) => r.status === 404 && r.error_code === 1404 });
  sleep(1);
}
