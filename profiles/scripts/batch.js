// A page with what it needs, asked for at once as browsers do.
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options = { batch: 10, batchPerHost: 4 };

export default function () {
  http.get(`${BASE_URL}/items`);
  const [style, script, image] = http.batch([
    `${BASE_URL}/static/site.css`,
    ['GET', `${BASE_URL}/static/site.js`, null, { tags: { name: 'script' } }],
    { method: 'GET', url: `${BASE_URL}/static/logo.png`, params: { responseType: 'binary' } },
  ]);
  check(style, { 'the style is there': (r) => r.status === 200 });
  check(script, { 'the script is there': (r) => r.status === 200 });
  check(image, { 'the image has bytes': (r) => r.body.byteLength > 0 });

  const data = http.batch({
    stock: `${BASE_URL}/api/stock`,
    prices: { method: 'GET', url: `${BASE_URL}/api/prices` },
  });
  check(data.stock, { stock: (r) => r.status === 200 });
  check(data.prices, { prices: (r) => r.json('currency') === 'EUR' });
  sleep(1);
}
