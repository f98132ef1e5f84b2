import { Inject, Injectable } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { ContextService } from './context.service.js';
import { QuestionsService } from './questions.service.js';
import { ShedService } from './shed.service.js';
import { StreamsService } from './streams.service.js';

/** Everything is read when scraped: the request path only counts in plain numbers. */
@Injectable()
export class MetricsService {
  private readonly registry = new Registry();

  constructor(
    @Inject(StreamsService) streams: StreamsService,
    @Inject(QuestionsService) questions: QuestionsService,
    @Inject(ContextService) contexts: ContextService,
    @Inject(ShedService) shed: ShedService,
  ) {
    collectDefaultMetrics({ register: this.registry });
    this.value('gateway_streams', 'Open SSE streams', () => streams.count);
    this.value('gateway_questions_in_flight', 'Questions sent and not answered', () => questions.inflight);
    this.value('gateway_questions_queued', 'Questions waiting in the gateway', () => questions.queued);
    this.count('gateway_answers_total', 'Answers to questions that came in here', () => questions.answered);
    this.count('gateway_answers_delivered_total', 'Answers sent to streams that are open here', () => streams.delivered);
    this.count('gateway_context_errors_total', 'Contexts that could not be stored', () => contexts.errors);
    this.value('gateway_leaked_bytes', 'Memory kept for ever (LEAK_KB)', () => contexts.leakedBytes);
    this.value('gateway_heap_limit_bytes', 'Limit of the JS heap', () => getHeapStatistics().heap_size_limit);
    this.loopUtilization();
    this.sheds(shed);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private value(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A number that only grows, which readers are told by its type. */
  private count(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** The share of time the event loop was busy since the last scrape: unlike the lag it also shows many short tasks. */
  private loopUtilization(): void {
    let last = performance.eventLoopUtilization();
    this.value('gateway_event_loop_utilization', 'Busy share of the event loop since the last scrape', () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    });
  }

  private sheds(shed: ShedService): void {
    new Counter({
      name: 'gateway_shed_total',
      help: 'Requests turned away by the guard',
      labelNames: ['reason'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [reason, count] of Object.entries(shed.counts)) this.inc({ reason }, count);
      },
    });
  }
}
