// TypeScript: types are taken out, not checked.
import http, { type RefinedResponse, type ResponseType } from 'k6/http';
import { check, sleep } from 'k6';
import type { Options } from 'k6/options';

interface Item {
  id: number;
  name: string;
  price?: number;
}

type Items = { items: Item[] };

enum Path {
  Items = '/api/items',
  Stock = '/api/stock',
}

const BASE_URL: string = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export const options: Options = {
  thresholds: { http_req_duration: ['p(95)<500'] },
};

class Shop {
  constructor(private readonly base: string) {}

  get<T extends ResponseType | undefined>(path: Path): RefinedResponse<T> {
    return http.get(`${this.base}${path}`) as RefinedResponse<T>;
  }
}

const first = <T,>(list: readonly T[]): T | undefined => list[0];

export default function (): void {
  const shop = new Shop(BASE_URL);
  const list = shop.get<'text'>(Path.Items);
  const items = (list.json() as unknown as Items).items;
  check(list, {
    'has items': (): boolean => items.length > 0,
    'with a name': () => first(items)!.name.length > 0,
  });
  sleep(0.5 satisfies number);
}
