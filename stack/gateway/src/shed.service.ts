import { HttpException, HttpStatus, Inject, Injectable } from '@nestjs/common';
import { TokenBuckets } from './guard.js';
import type { Settings } from './settings.js';
import { StreamsService } from './streams.service.js';
import { SETTINGS } from './tokens.js';

/** The part of the adapter's reply that is needed here. */
export interface Reply {
  header(name: string, value: string): unknown;
}

export type ShedReason = 'streams' | 'questions' | 'user_rate';

const FORGET_EVERY = 1000;

/** Decides whom the guarded form turns away, and tells them when to come back. The naive form turns nobody away. */
@Injectable()
export class ShedService {
  readonly counts: Record<ShedReason, number> = { streams: 0, questions: 0, user_rate: 0 };
  private readonly buckets: TokenBuckets;
  private sinceForget = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(StreamsService) private readonly streams: StreamsService,
  ) {
    this.buckets = new TokenBuckets(settings.userRate, settings.userBurst);
  }

  checkRate(user: string, reply: Reply): void {
    if (!this.settings.guard) return;
    const now = Date.now();
    this.sinceForget += 1;
    if (this.sinceForget >= FORGET_EVERY) {
      this.buckets.forgetIdle(now);
      this.sinceForget = 0;
    }
    if (!this.buckets.take(user, now)) {
      // A bucket refills within 1/rate seconds: no need to send this user away for as long as an overload needs.
      this.shed('user_rate', reply, HttpStatus.TOO_MANY_REQUESTS, Math.ceil(1 / this.settings.userRate));
    }
  }

  checkStreams(reply: Reply): void {
    if (this.settings.guard && this.streams.count >= this.settings.maxStreams) {
      this.shed('streams', reply, HttpStatus.SERVICE_UNAVAILABLE, this.settings.retryAfterS);
    }
  }

  refuseQuestion(reply: Reply): never {
    this.shed('questions', reply, HttpStatus.SERVICE_UNAVAILABLE, this.settings.retryAfterS);
  }

  private shed(reason: ShedReason, reply: Reply, status: HttpStatus, retryAfterS: number): never {
    this.counts[reason] += 1;
    reply.header('Retry-After', String(retryAfterS));
    throw new HttpException({ error: `overloaded: ${reason}`, retry_after_s: retryAfterS }, status);
  }
}
