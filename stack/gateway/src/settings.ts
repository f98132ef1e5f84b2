/** The gateway's settings. They come from environment variables only, so that the three ways to run it share them. */
export interface Settings {
  host: string;
  /** Listens on the first of these that is free. */
  ports: number[];
  redisUrl: string;

  ctxStore: 'none' | 'buffer' | 'heap' | 'redis';
  ctxBytes: number;
  ctxRequired: boolean;
  leakBytes: number;
  cpuMs: number;
  crashStreams: number;

  fanout: 'map' | 'filter';
  subMode: 'shared' | 'per_conn';

  guard: boolean;
  maxStreams: number;
  maxInflight: number;
  maxQueue: number;
  userRate: number;
  userBurst: number;
  retryAfterS: number;

  questionTimeoutMs: number;
  rssLimitBytes: number;
}

/** Names every bad variable at once: fixing them one start at a time is tedious. */
export class SettingsError extends Error {
  constructor(readonly problems: string[]) {
    super(`invalid settings:\n  ${problems.join('\n  ')}`);
    this.name = 'SettingsError';
  }
}

type Env = Record<string, string | undefined>;

const KIB = 1024;
const MIB = 1024 * 1024;
const MAX_GATEWAYS = 16;

class Reader {
  readonly problems: string[] = [];
  constructor(private readonly env: Env) {}

  text(name: string, fallback: string): string {
    return this.env[name]?.trim() || fallback;
  }

  number(name: string, fallback: number, min: number, max: number): number {
    const raw = this.text(name, String(fallback));
    const value = Number(raw);
    if (!Number.isFinite(value) || value < min || value > max) {
      this.problems.push(`${name}=${raw} is not a number from ${min} to ${max}`);
      return fallback;
    }
    return value;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = this.number(name, fallback, min, max);
    if (!Number.isInteger(value)) {
      this.problems.push(`${name}=${value} is not a whole number`);
      return fallback;
    }
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const raw = this.text(name, fallback);
    const found = choices.find((choice) => choice === raw);
    if (found === undefined) {
      this.problems.push(`${name}=${raw} is not one of ${choices.join(', ')}`);
      return fallback;
    }
    return found;
  }
}

export function readSettings(env: Env): Settings {
  const read = new Reader(env);
  const settings: Settings = {
    host: read.text('HOST', '127.0.0.1'),
    ports: readPorts(read),
    redisUrl: read.text('REDIS_URL', 'redis://127.0.0.1:16379'),

    ctxStore: read.choice('CTX_STORE', ['none', 'buffer', 'heap', 'redis'] as const, 'none'),
    ctxBytes: read.number('CTX_KB', 0, 0, 1024 * 1024) * KIB,
    ctxRequired: read.choice('CTX_REQUIRED', ['off', 'on'] as const, 'off') === 'on',
    leakBytes: read.number('LEAK_KB', 0, 0, 1024 * 1024) * KIB,
    cpuMs: read.number('CPU_MS', 0, 0, 60_000),
    crashStreams: read.integer('CRASH_STREAMS', 0, 0, 1_000_000),

    fanout: read.choice('FANOUT', ['map', 'filter'] as const, 'map'),
    subMode: read.choice('SUB_MODE', ['shared', 'per_conn'] as const, 'shared'),

    guard: read.choice('GUARD', ['off', 'on'] as const, 'off') === 'on',
    maxStreams: read.integer('MAX_STREAMS', 1000, 1, 1_000_000),
    maxInflight: read.integer('MAX_INFLIGHT', 200, 1, 1_000_000),
    maxQueue: read.integer('MAX_QUEUE', 200, 0, 1_000_000),
    userRate: read.number('USER_RATE', 2, 0.001, 1_000_000),
    userBurst: read.number('USER_BURST', 5, 1, 1_000_000),
    retryAfterS: read.integer('RETRY_AFTER_S', 10, 1, 3600),

    questionTimeoutMs: read.number('QUESTION_TIMEOUT_S', 60, 1, 3600) * 1000,
    rssLimitBytes: read.number('RSS_LIMIT_MB', 0, 0, 1024 * 1024) * MIB,
  };
  if (!/^rediss?:\/\//.test(settings.redisUrl)) {
    read.problems.push(`REDIS_URL=${settings.redisUrl} does not start with redis://`);
  }
  if (settings.ctxStore !== 'none' && settings.ctxBytes === 0) {
    read.problems.push(`CTX_STORE=${settings.ctxStore} needs a CTX_KB above 0`);
  }
  if (settings.ctxRequired && settings.ctxStore !== 'redis') {
    read.problems.push('CTX_REQUIRED=on needs CTX_STORE=redis: elsewhere a context cannot get lost');
  }
  if (read.problems.length > 0) throw new SettingsError(read.problems);
  return settings;
}

/**
 * GATEWAYS is how many gateways share a host's network, as scaled containers do: all have the same environment, and each
 * takes a port from GATEWAY_FIRST_PORT on. Without it there is GATEWAY_PORT.
 */
function readPorts(read: Reader): number[] {
  const port = read.integer('GATEWAY_PORT', 18080, 1, 65535);
  const gateways = read.integer('GATEWAYS', 0, 0, MAX_GATEWAYS);
  if (gateways === 0) return [port];
  const first = read.integer('GATEWAY_FIRST_PORT', 18101, 1, 65536 - gateways);
  return Array.from({ length: gateways }, (_, index) => first + index);
}
