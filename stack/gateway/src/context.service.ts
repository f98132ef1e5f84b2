import { Inject, Injectable, Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { RedisService } from './redis.service.js';
import type { Settings } from './settings.js';
import { SETTINGS } from './tokens.js';

export interface Context {
  release(): void;
}

const NOTHING: Context = { release: () => undefined };

/**
 * What the gateway keeps for each open stream, such as a conversation so far. Where it is kept decides which resource
 * gives way first: the kernel's limit (buffer), the JS heap (heap) or Redis (redis).
 */
@Injectable()
export class ContextService {
  private readonly logger = new Logger('Context');
  private readonly leaked: unknown[] = [];
  private readonly redisValue: Buffer;
  /** CTX_REQUIRED: where the context of each user's last stream is. */
  private readonly keys = new Map<string, string>();
  errors = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(RedisService) private readonly redis: RedisService,
  ) {
    this.redisValue = settings.ctxStore === 'redis' ? Buffer.alloc(settings.ctxBytes, 'x') : Buffer.alloc(0);
  }

  async open(user: string): Promise<Context> {
    switch (this.settings.ctxStore) {
      case 'none':
        return NOTHING;
      case 'buffer':
        return new HeldContext(filledBuffer(this.settings.ctxBytes));
      case 'heap':
        return new HeldContext(heapArray(this.settings.ctxBytes));
      case 'redis':
        return this.openInRedis(user, `ctx:${randomUUID()}`);
    }
  }

  /** CTX_REQUIRED: a question goes on with a conversation, which must still be there. */
  async require(user: string): Promise<void> {
    const key = this.keys.get(user);
    if (key === undefined || (await this.redis.commands.exists(key)) === 1) return;
    this.errors += 1;
    throw new Error('the context of the conversation is gone');
  }

  /** LEAK_KB: a defect on purpose. What is kept here is never let go. */
  leak(): void {
    if (this.settings.leakBytes > 0) this.leaked.push(heapArray(this.settings.leakBytes));
  }

  get leakedBytes(): number {
    return this.leaked.length * this.settings.leakBytes;
  }

  private async openInRedis(user: string, key: string): Promise<Context> {
    try {
      await this.redis.commands.set(key, this.redisValue);
    } catch (error) {
      this.errors += 1;
      throw error;
    }
    if (this.settings.ctxRequired) this.keys.set(user, key);
    return {
      release: () => {
        if (this.keys.get(user) === key) this.keys.delete(user);
        this.redis.commands.del(key).catch((error: Error) => this.logger.warn(`DEL ${key}: ${error.message}`));
      },
    };
  }
}

/** Keeps its value in memory for as long as the stream has not ended. */
class HeldContext implements Context {
  constructor(public value: unknown) {}

  release(): void {
    this.value = undefined;
  }
}

/** Filled with ones: pages that were never written take no memory, and zeroes could be had without writing. */
function filledBuffer(bytes: number): Buffer {
  return Buffer.alloc(bytes, 1);
}

/** An array of small integers lies inside the JS heap, eight bytes each. */
function heapArray(bytes: number): number[] {
  return new Array<number>(Math.ceil(bytes / 8)).fill(1);
}
