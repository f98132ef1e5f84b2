import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { firstFreePort } from '../dist/ports.js';

const HOST = '127.0.0.1';

async function listening(port) {
  const server = createServer().listen({ host: HOST, port });
  await once(server, 'listening');
  return server;
}

test('the first port that nobody listens on is taken', async () => {
  const [taken, free] = [await listening(0), await listening(0)];
  const ports = [taken.address().port, free.address().port];
  try {
    await assert.rejects(firstFreePort(HOST, ports), /none of the ports/);
    free.close();
    await once(free, 'close');
    assert.equal(await firstFreePort(HOST, ports), ports[1]);
    // Free means free: it can be listened on at once.
    (await listening(ports[1])).close();
  } finally {
    taken.close();
    free.close();
  }
});
