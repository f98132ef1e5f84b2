/**
 * The protections of the guarded form (GUARD=on). Pure logic: every function takes the time, none reads a clock.
 */

/** A limit per user: `rate` requests a second on average, `burst` at once. */
export class TokenBuckets {
  private readonly buckets = new Map<string, { tokens: number; at: number }>();

  constructor(
    private readonly rate: number,
    private readonly burst: number,
  ) {}

  take(user: string, nowMs: number): boolean {
    const bucket = this.buckets.get(user) ?? { tokens: this.burst, at: nowMs };
    bucket.tokens = this.refilled(bucket, nowMs);
    bucket.at = nowMs;
    this.buckets.set(user, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** A full bucket says nothing about its user: dropping it keeps the map as small as the active users. */
  forgetIdle(nowMs: number): void {
    for (const [user, bucket] of this.buckets) {
      if (this.refilled(bucket, nowMs) >= this.burst) this.buckets.delete(user);
    }
  }

  get size(): number {
    return this.buckets.size;
  }

  private refilled(bucket: { tokens: number; at: number }, nowMs: number): number {
    return Math.min(this.burst, bucket.tokens + ((nowMs - bucket.at) / 1000) * this.rate);
  }
}

export type Offer = 'send' | 'queued' | 'refused';

/**
 * Bounds the questions that wait for an answer: `maxInflight` at the AI server, `maxQueue` more here in order of arrival.
 * The naive form uses it with infinite bounds, only to count.
 */
export class QuestionGate<T> {
  // A Map keeps insertion order, and the time-out is the same for all: the oldest question is always the first entry.
  private readonly inflight = new Map<string, number>();
  private readonly waiting: { key: string; question: T }[] = [];

  constructor(
    private readonly maxInflight: number,
    private readonly maxQueue: number,
    private readonly timeoutMs: number,
  ) {}

  get inflightCount(): number {
    return this.inflight.size;
  }

  get queueLength(): number {
    return this.waiting.length;
  }

  offer(key: string, question: T, nowMs: number): Offer {
    if (this.inflight.size < this.maxInflight) {
      this.inflight.set(key, nowMs);
      return 'send';
    }
    if (this.waiting.length >= this.maxQueue) return 'refused';
    this.waiting.push({ key, question });
    return 'queued';
  }

  /** Whether a question came in here and waits for its answer at the AI server. */
  has(key: string): boolean {
    return this.inflight.has(key);
  }

  /** Frees the place of an answered question; returns the waiting question that takes it, to be sent now. */
  finish(key: string, nowMs: number): T | undefined {
    if (!this.inflight.delete(key)) return undefined;
    const next = this.waiting.shift();
    if (next === undefined) return undefined;
    this.inflight.set(next.key, nowMs);
    return next.question;
  }

  /** An answer can get lost (AI restarted, backlog drained): without a time limit its place would be lost for ever. */
  expire(nowMs: number): T[] {
    const toSend: T[] = [];
    for (const [key, sentAt] of this.inflight) {
      if (nowMs - sentAt < this.timeoutMs) break;
      const next = this.finish(key, nowMs);
      if (next !== undefined) toSend.push(next);
    }
    return toSend;
  }
}
