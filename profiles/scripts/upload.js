// A form with a file, in both ways in which scripts write it.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { FormData } from 'https://jslib.k6.io/formdata/0.0.2/index.js';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const file = open('./data/users.csv', 'b');

export default function () {
  const simple = http.post(`${BASE_URL}/upload`, {
    title: 'users',
    file: http.file(file, 'users.csv', 'text/csv'),
  });
  check(simple, {
    taken: (r) => r.status === 200,
    'with its name': (r) => r.json('filename') === 'users.csv',
    'whole': (r) => r.json('bytes') === file.byteLength,
  });

  const form = new FormData();
  form.append('title', 'again');
  form.append('file', http.file(file, 'again.csv', 'text/csv'));
  const second = http.post(`${BASE_URL}/upload`, form.body(), {
    headers: { 'Content-Type': 'multipart/form-data; boundary=' + form.boundary },
  });
  check(second, { 'taken again': (r) => r.json('filename') === 'again.csv' });
  sleep(1);
}
