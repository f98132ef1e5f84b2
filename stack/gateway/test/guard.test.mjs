import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuestionGate, TokenBuckets } from '../dist/guard.js';

test('a bucket gives its burst at once, then its rate', () => {
  const buckets = new TokenBuckets(2, 3);
  assert.deepEqual([0, 0, 0, 0].map((now) => buckets.take('a', now)), [true, true, true, false]);
  assert.equal(buckets.take('a', 400), false);
  assert.equal(buckets.take('a', 500), true);
  assert.equal(buckets.take('a', 600), false);
});

test('one user does not use up what is another\'s', () => {
  const buckets = new TokenBuckets(1, 1);
  assert.equal(buckets.take('a', 0), true);
  assert.equal(buckets.take('a', 0), false);
  assert.equal(buckets.take('b', 0), true);
});

test('buckets of idle users are forgotten, those of active ones are not', () => {
  const buckets = new TokenBuckets(1, 5);
  buckets.take('idle', 0);
  buckets.take('active', 9_500);
  buckets.forgetIdle(10_000);
  assert.equal(buckets.size, 1);
});

test('questions are sent, then queued, then refused', () => {
  const gate = new QuestionGate(2, 1, 1000);
  assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => gate.offer(key, key, 0)), ['send', 'send', 'queued', 'refused']);
  assert.deepEqual([gate.inflightCount, gate.queueLength], [2, 1]);
});

test('an answer lets the first waiting question go', () => {
  const gate = new QuestionGate(1, 2, 1000);
  for (const key of ['a', 'b', 'c']) gate.offer(key, key, 0);
  assert.equal(gate.finish('a', 1), 'b');
  assert.equal(gate.finish('b', 2), 'c');
  assert.equal(gate.finish('c', 3), undefined);
  assert.deepEqual([gate.inflightCount, gate.queueLength], [0, 0]);
});

test('an answer to an unknown question frees no place', () => {
  const gate = new QuestionGate(1, 1, 1000);
  gate.offer('a', 'a', 0);
  gate.offer('b', 'b', 0);
  assert.equal(gate.finish('x', 1), undefined);
  assert.equal(gate.queueLength, 1);
});

test('the place of a question without an answer is freed after the time-out', () => {
  const gate = new QuestionGate(1, 1, 1000);
  gate.offer('a', 'a', 0);
  gate.offer('b', 'b', 500);
  assert.deepEqual(gate.expire(999), []);
  assert.deepEqual(gate.expire(1000), ['b']);
  assert.deepEqual([gate.inflightCount, gate.queueLength], [1, 0]);
});

test('a gate knows the questions that wait at the AI server, and no others', () => {
  const gate = new QuestionGate(1, 1, 1000);
  gate.offer('a', 'a', 0);
  gate.offer('b', 'b', 0);
  assert.deepEqual(['a', 'b', 'x'].map((key) => gate.has(key)), [true, false, false]);
  gate.finish('a', 1);
  assert.deepEqual(['a', 'b'].map((key) => gate.has(key)), [false, true]);
});
