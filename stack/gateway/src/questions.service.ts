import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ContextService } from './context.service.js';
import { QuestionGate } from './guard.js';
import { RedisService } from './redis.service.js';
import type { Settings } from './settings.js';
import { ANSWERS, type Answer, answerChannel, StreamsService } from './streams.service.js';
import { SETTINGS } from './tokens.js';

export interface Question {
  id: string;
  user: string;
  text: string;
}

const QUESTIONS = 'questions';
const EXPIRE_EVERY_MS = 1000;

/** Takes questions to the AI server and its answers to the streams, both over Redis Pub/Sub. */
@Injectable()
export class QuestionsService implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('Questions');
  private readonly gate: QuestionGate<Question>;
  private readonly expiry: NodeJS.Timeout;
  answered = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(RedisService) private readonly redis: RedisService,
    @Inject(StreamsService) private readonly streams: StreamsService,
    @Inject(ContextService) private readonly contexts: ContextService,
  ) {
    this.gate = settings.guard
      ? new QuestionGate(settings.maxInflight, settings.maxQueue, settings.questionTimeoutMs)
      : new QuestionGate(Infinity, 0, settings.questionTimeoutMs);
    this.expiry = setInterval(() => this.expire(), EXPIRE_EVERY_MS);
  }

  get inflight(): number {
    return this.gate.inflightCount;
  }

  get queued(): number {
    return this.gate.queueLength;
  }

  async onModuleInit(): Promise<void> {
    const { subscriber } = this.redis;
    subscriber.on('message', (_channel, message) => this.onAnswer(message));
    subscriber.on('pmessage', (_pattern, _channel, message) => this.onAnswer(message));
    // With a subscription per stream this one only counts: delivery is the streams' own.
    if (this.settings.subMode === 'per_conn') await subscriber.psubscribe(`${ANSWERS}:*`);
    else await subscriber.subscribe(ANSWERS);
  }

  onApplicationShutdown(): void {
    clearInterval(this.expiry);
  }

  /** False means refused: too many questions are waiting. */
  async ask(question: Question): Promise<boolean> {
    burnCpu(this.settings.cpuMs);
    this.contexts.leak();
    if (this.settings.ctxRequired) await this.contexts.require(question.user);
    const offer = this.gate.offer(key(question), question, Date.now());
    if (offer === 'send') await this.sendOrGiveUp(question);
    return offer !== 'refused';
  }

  private onAnswer(message: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(message) as Answer;
    } catch {
      this.logger.warn(`an answer is not JSON: ${message.slice(0, 80)}`);
      return;
    }
    // Every gateway hears every answer. It counts where the question came in, and goes to where the stream is.
    if (this.gate.has(key(answer))) this.answered += 1;
    if (this.settings.subMode === 'shared') this.streams.deliver(message, answer);
    const next = this.gate.finish(key(answer), Date.now());
    if (next !== undefined) this.sendInBackground(next);
  }

  private async sendOrGiveUp(question: Question): Promise<void> {
    try {
      await this.send(question);
    } catch (error) {
      const next = this.gate.finish(key(question), Date.now());
      if (next !== undefined) this.sendInBackground(next);
      throw error;
    }
  }

  /** For a question that was answered 202 already: its sender is gone, the log is all there is to tell. */
  private sendInBackground(question: Question): void {
    this.sendOrGiveUp(question).catch((error: Error) => this.logger.warn(`question ${question.id}: ${error.message}`));
  }

  private async send(question: Question): Promise<void> {
    const message = { ...question, reply_to: answerChannel(this.settings, question.user) };
    await this.redis.commands.publish(QUESTIONS, JSON.stringify(message));
  }

  private expire(): void {
    for (const question of this.gate.expire(Date.now())) this.sendInBackground(question);
  }
}

function key(of: { user: string; id: string }): string {
  return `${of.user}\n${of.id}`;
}

/** CPU_MS: a defect on purpose. Work that holds the event loop, as parsing or signing would. */
function burnCpu(ms: number): void {
  if (ms <= 0) return;
  const end = performance.now() + ms;
  while (performance.now() < end);
}
