// What several scripts share.
import http from 'k6/http';
import { check } from 'k6';

export const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export class Api {
  constructor(token) {
    this.headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  get(path, name) {
    const res = http.get(`${BASE_URL}${path}`, { headers: this.headers, tags: { name } });
    check(res, { [`${name} is there`]: (r) => r.status === 200 });
    return res;
  }
}
