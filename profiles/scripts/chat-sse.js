// A question, and its answer as it is written: server-sent events.
import { check, sleep } from 'k6';
import { Trend } from 'k6/metrics';
import sse from 'k6/x/sse';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const firstToken = new Trend('first_token', true);

export const options = { thresholds: { first_token: ['p(95)<1000'] } };

export default function () {
  const asked = Date.now();
  let tokens = 0;
  const params = {
    method: 'POST',
    body: JSON.stringify({ question: 'What is a breakpoint?' }),
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
  };
  const res = sse.open(`${BASE_URL}/api/answer`, params, (client) => {
    client.on('event', (event) => {
      if (event.data === '[DONE]') {
        client.close();
        return;
      }
      if (tokens === 0) {
        firstToken.add(Date.now() - asked);
      }
      tokens += 1;
    });
    client.on('error', (e) => console.error(`the stream failed: ${e.error()}`));
  });
  check(res, { 'the stream opened': (r) => r && r.status === 200 });
  check(tokens, { 'tokens came': (n) => n > 0 });
  sleep(1);
}
