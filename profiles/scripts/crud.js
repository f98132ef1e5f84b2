// Create, read, change, delete. The addresses differ from item to item; the name does not.
import http from 'k6/http';
import { check, group } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = {
  thresholds: { 'http_req_duration{kind:write}': ['p(99)<1000'] },
};

const json = { 'Content-Type': 'application/json' };

export default function () {
  let id;

  group('create', () => {
    const body = JSON.stringify({ name: `item of ${__VU}`, price: 12.5, tags: ['a', 'b'] });
    const res = http.post(`${BASE_URL}/api/items`, body, { headers: json, tags: { kind: 'write' } });
    check(res, { created: (r) => r.status === 201 });
    id = res.json('id');
  });

  const one = http.url`${BASE_URL}/api/items/${id}`;

  group('read', () => {
    check(http.get(one), { 'as created': (r) => r.json('price') === 12.5 });
  });

  group('change', () => {
    const put = http.put(one, JSON.stringify({ name: 'other', price: 9 }), {
      headers: json,
      tags: { kind: 'write' },
    });
    check(put, { put: (r) => r.status === 200 });
    const patch = http.patch(one, JSON.stringify({ price: 8 }), {
      headers: json,
      tags: { kind: 'write' },
    });
    check(patch, { patched: (r) => r.json('price') === 8 });
  });

  group('delete', () => {
    check(http.del(one, null, { tags: { kind: 'write' } }), { gone: (r) => r.status === 204 });
    const after = http.get(one, { responseCallback: http.expectedStatuses(404) });
    check(after, { 'not there': (r) => r.status === 404 });
  });
}
