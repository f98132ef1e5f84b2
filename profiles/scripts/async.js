// Promises: requests side by side, and a timer.
import http from 'k6/http';
import { check } from 'k6';
import { setTimeout } from 'k6/timers';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default async function () {
  const [stock, prices] = await Promise.all([
    http.asyncRequest('GET', `${BASE_URL}/api/stock`),
    http.asyncRequest('GET', `${BASE_URL}/api/prices`),
  ]);
  check(stock, { stock: (r) => r.status === 200 });
  check(prices, { prices: (r) => r.status === 200 });

  await pause(100);
  const items = await http.asyncRequest('GET', `${BASE_URL}/api/items`);
  check(items, { items: (r) => r.json('items').length > 0 });
}
