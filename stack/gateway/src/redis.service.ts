import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { Redis, type RedisOptions } from 'ioredis';
import type { Settings } from './settings.js';
import { SETTINGS } from './tokens.js';

const PING_DEADLINE_MS = 1000;

/** The gateway's connections to Redis: one for commands, one for the subscription (a subscribed one takes no commands). */
@Injectable()
export class RedisService implements OnModuleDestroy {
  private readonly logger = new Logger('Redis');
  readonly commands: Redis;
  readonly subscriber: Redis;

  constructor(@Inject(SETTINGS) private readonly settings: Settings) {
    this.commands = this.connect('commands', this.commandOptions());
    this.subscriber = this.connect('subscriber', {});
  }

  /** A further connection, for SUB_MODE=per_conn. It does not retry: its stream fails with it. */
  async dedicated(): Promise<Redis> {
    const connection = this.connect('stream', { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    await connection.connect();
    return connection;
  }

  /** Rejects when Redis does not answer in time, be it dead or hung. */
  async ping(): Promise<void> {
    await withDeadline(this.commands.ping(), PING_DEADLINE_MS, 'Redis did not answer PING within 1 s');
    if (this.subscriber.status !== 'ready') throw new Error('the subscription to Redis is down');
  }

  onModuleDestroy(): void {
    this.commands.disconnect();
    this.subscriber.disconnect();
  }

  /**
   * The naive form keeps the client's defaults: while Redis is away, commands pile up in memory and are repeated.
   * The guarded form refuses them at once.
   */
  private commandOptions(): RedisOptions {
    return this.settings.guard ? { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 2000 } : {};
  }

  private connect(name: string, options: RedisOptions): Redis {
    const connection = new Redis(this.settings.redisUrl, {
      // Short, fixed pauses: recovery between two probes must not wait for a long back-off.
      retryStrategy: () => 200,
      ...options,
    });
    let lastError = '';
    connection.on('error', (error: Error) => {
      // The same refusal five times a second would fill the log.
      if (error.message !== lastError) this.logger.warn(`${name}: ${error.message}`);
      lastError = error.message;
    });
    connection.on('ready', () => {
      lastError = '';
    });
    return connection;
  }
}

async function withDeadline<T>(work: Promise<T>, ms: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
