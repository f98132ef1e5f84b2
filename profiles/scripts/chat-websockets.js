// The same chat with the WebSocket of browsers.
import { WebSocket } from 'k6/websockets';
import { check } from 'k6';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/^http/, 'ws');

export default function () {
  const socket = new WebSocket(`${BASE_URL}/chat`);
  const limit = setTimeout(() => socket.close(), 5000);
  socket.addEventListener('open', () => {
    socket.send(JSON.stringify({ from: __VU, text: 'hello' }));
  });
  socket.addEventListener('message', (event) => {
    check(event.data, { 'it was heard': (text) => JSON.parse(text).text === 'hello' });
    clearTimeout(limit);
    socket.close();
  });
}
