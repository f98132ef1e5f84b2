// Local modules, and a library by its address.
import { sleep } from 'k6';
import { randomIntBetween, randomItem, uuidv4 } from 'https://jslib.k6.io/k6-utils/1.4.0/index.js';
import { Api } from './lib/api.js';

const paths = ['/api/stock', '/api/prices', '/api/items'];

export default function () {
  const api = new Api();
  api.get(randomItem(paths), 'data');
  api.get(`/api/items?request=${uuidv4()}`, 'items');
  sleep(randomIntBetween(1, 3) / 10);
}
