// Metrics of its own, and thresholds on them.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

const serverTime = new Trend('server_time', true);
const itemsSeen = new Counter('items_seen');
const emptyPages = new Rate('empty_pages');
const pageSize = new Gauge('page_size');

export const options = {
  thresholds: {
    server_time: ['p(95)<400', 'avg<200'],
    items_seen: ['count>0'],
    empty_pages: ['rate<0.1'],
    page_size: ['value>0'],
    'server_time{page:list}': ['p(99)<500'],
  },
};

export default function () {
  const res = http.get(`${BASE_URL}/api/items`);
  const items = res.json('items');
  serverTime.add(res.timings.waiting, { page: 'list' });
  itemsSeen.add(items.length);
  emptyPages.add(items.length === 0);
  pageSize.add(res.body.length);
  check(res, { 'has items': () => items.length > 0 });
  sleep(1);
}
