// A chat over a WebSocket: says something, waits for the echo, leaves.
import ws from 'k6/ws';
import { check, sleep } from 'k6';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/^http/, 'ws');

export default function () {
  let heard = '';
  const res = ws.connect(`${BASE_URL}/chat`, { tags: { name: 'chat' } }, (socket) => {
    socket.on('open', () => {
      socket.send(JSON.stringify({ from: __VU, text: 'hello' }));
    });
    socket.on('message', (message) => {
      heard = message;
      socket.close();
    });
    socket.on('error', (e) => console.error(`the socket failed: ${e.error()}`));
    socket.setTimeout(() => socket.close(), 5000);
  });
  check(res, { 'it was upgraded': (r) => r && r.status === 101 });
  check(heard, { 'it was heard': (text) => JSON.parse(text).text === 'hello' });
  sleep(1);
}
