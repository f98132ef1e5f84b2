import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../dist/settings.js';

test('the defaults are the naive gateway that keeps nothing', () => {
  const settings = readSettings({});
  assert.equal(settings.guard, false);
  assert.equal(settings.ctxStore, 'none');
  assert.equal(settings.host, '127.0.0.1');
});

test('every bad value is named at once', () => {
  assert.throws(() => readSettings({ GATEWAY_PORT: 'x', CTX_STORE: 'disk', MAX_QUEUE: '1.5' }), {
    problems: [
      'GATEWAY_PORT=x is not a number from 1 to 65535',
      'CTX_STORE=disk is not one of none, buffer, heap, redis',
      'MAX_QUEUE=1.5 is not a whole number',
    ],
  });
});

test('only a context in Redis can be required', () => {
  assert.throws(() => readSettings({ CTX_REQUIRED: 'on' }), /CTX_REQUIRED=on needs CTX_STORE=redis/);
  assert.equal(readSettings({ CTX_REQUIRED: 'on', CTX_STORE: 'redis', CTX_KB: '1' }).ctxRequired, true);
});

test('a store needs a size', () => {
  assert.throws(() => readSettings({ CTX_STORE: 'buffer' }), /needs a CTX_KB above 0/);
});

test('one gateway has one port; of several each may have any of as many', () => {
  assert.deepEqual(readSettings({ GATEWAY_PORT: '18200' }).ports, [18200]);
  assert.deepEqual(readSettings({ GATEWAYS: '3', GATEWAY_FIRST_PORT: '18301' }).ports, [18301, 18302, 18303]);
  assert.throws(() => readSettings({ GATEWAYS: '17' }), /GATEWAYS=17 is not a number from 0 to 16/);
  assert.throws(() => readSettings({ GATEWAYS: '2', GATEWAY_FIRST_PORT: '65535' }), /not a number from 1 to 65534/);
});
