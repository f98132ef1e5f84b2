import { Inject, Injectable, Logger, type MessageEvent, type OnApplicationShutdown } from '@nestjs/common';
import { Observable, Subject, type Subscriber } from 'rxjs';
import { ContextService } from './context.service.js';
import { RedisService } from './redis.service.js';
import type { Settings } from './settings.js';
import { SETTINGS } from './tokens.js';

export interface Answer {
  id: string;
  user: string;
  text: string;
}

/** The channel on which the AI server answers: one for all, or one per user when each stream subscribes on its own. */
export const ANSWERS = 'answers';

export function answerChannel(settings: Settings, user: string): string {
  return settings.subMode === 'per_conn' ? `${ANSWERS}:${user}` : ANSWERS;
}

/** The open SSE streams, and which of them gets which answer. */
@Injectable()
export class StreamsService implements OnApplicationShutdown {
  private readonly logger = new Logger('Streams');
  private readonly byUser = new Map<string, Subscriber<MessageEvent>>();
  private readonly open = new Set<Subscriber<MessageEvent>>();
  /** Every message as it came, for FANOUT=filter. */
  private readonly raw = new Subject<string>();
  private reserved = 0;
  delivered = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(ContextService) private readonly contexts: ContextService,
    @Inject(RedisService) private readonly redis: RedisService,
  ) {}

  /** Counts a stream from the moment it is admitted, so that many at once cannot slip past the limit. */
  get count(): number {
    return this.reserved;
  }

  /**
   * Opens a stream. `signal` is aborted when the request ends, however it ends, also while the context is still being
   * stored: it alone gives everything back, exactly once.
   */
  async openStream(user: string, signal: AbortSignal): Promise<Observable<MessageEvent>> {
    this.reserved += 1;
    onAbort(signal, () => {
      this.reserved -= 1;
    });
    crashAt(this.settings, this.reserved);
    const context = await this.contexts.open(user);
    onAbort(signal, () => context.release());
    const source = await this.answersFor(user, signal);
    return new Observable<MessageEvent>((stream) => {
      stream.next({ type: 'ready', data: { user } });
      this.open.add(stream);
      const detach = source(stream);
      return () => {
        detach();
        this.open.delete(stream);
      };
    });
  }

  /** Sends an answer that came by the shared subscription to the stream of its user. */
  deliver(message: string, answer: Answer): void {
    if (this.settings.fanout === 'filter') {
      this.raw.next(message);
      return;
    }
    // Without one the user has gone, or is at another gateway.
    const stream = this.byUser.get(answer.user);
    if (stream !== undefined) this.sendAnswer(stream, answer);
  }

  onApplicationShutdown(): void {
    for (const stream of [...this.open]) stream.complete();
  }

  /** The function that attaches a stream to its answers, and returns the one that detaches it. */
  private async answersFor(user: string, signal: AbortSignal): Promise<(stream: Subscriber<MessageEvent>) => () => void> {
    if (this.settings.subMode === 'per_conn') return this.ownSubscription(user, signal);
    if (this.settings.fanout === 'filter') return (stream) => this.filterAll(user, stream);
    return (stream) => this.mapUser(user, stream);
  }

  private mapUser(user: string, stream: Subscriber<MessageEvent>): () => void {
    this.byUser.set(user, stream);
    return () => {
      // A user who came back before the old stream was seen to end has a newer entry, which stays.
      if (this.byUser.get(user) === stream) this.byUser.delete(user);
    };
  }

  /** The naive form of routing: each stream parses every answer, work that grows with the square of the users. */
  private filterAll(user: string, stream: Subscriber<MessageEvent>): () => void {
    const subscription = this.raw.subscribe((message) => {
      const answer = JSON.parse(message) as Answer;
      if (answer.user === user) this.sendAnswer(stream, answer);
    });
    return () => subscription.unsubscribe();
  }

  private async ownSubscription(
    user: string,
    signal: AbortSignal,
  ): Promise<(stream: Subscriber<MessageEvent>) => () => void> {
    const connection = await this.redis.dedicated();
    onAbort(signal, () => connection.disconnect());
    await connection.subscribe(answerChannel(this.settings, user));
    return (stream) => {
      connection.on('message', (_channel, message) => this.sendAnswer(stream, JSON.parse(message) as Answer));
      connection.on('end', () => {
        if (!stream.closed) this.logger.warn(`the subscription of ${user} ended`);
        stream.complete();
      });
      return () => connection.disconnect();
    };
  }

  private sendAnswer(stream: Subscriber<MessageEvent>, answer: Answer): void {
    this.delivered += 1;
    stream.next({ type: 'answer', data: { id: answer.id, text: answer.text } });
  }
}

/** CRASH_STREAMS: a defect on purpose. The process ends, and neither a limit nor a line of its log says why. */
function crashAt(settings: Settings, streams: number): void {
  if (settings.crashStreams > 0 && streams >= settings.crashStreams) process.exit(1);
}

function onAbort(signal: AbortSignal, action: () => void): void {
  if (signal.aborted) action();
  else signal.addEventListener('abort', action, { once: true });
}
