// Requests that are signed.
import http from 'k6/http';
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const KEY = __ENV.SIGNING_KEY || 'test-key';

export default function () {
  const body = JSON.stringify({ amount: 100, at: Date.now(), nonce: __ITER });
  const signature = crypto.hmac('sha256', KEY, body, 'hex');
  const res = http.post(`${BASE_URL}/api/payments`, body, {
    headers: {
      'Content-Type': 'application/json',
      'X-Signature': signature,
      Authorization: `Basic ${encoding.b64encode(`user${__VU}:secret`)}`,
    },
  });
  check(res, { 'the signature is right': (r) => r.status === 200 });
  sleep(1);
}
