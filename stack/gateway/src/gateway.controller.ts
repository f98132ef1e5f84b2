import {
  Body,
  Controller,
  HttpCode,
  HttpException,
  HttpStatus,
  Inject,
  type MessageEvent,
  Post,
  Query,
  Res,
  Sse,
  SseSignal,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { type Question, QuestionsService } from './questions.service.js';
import { type Reply, ShedService } from './shed.service.js';
import { StreamsService } from './streams.service.js';

const MAX_ID_LENGTH = 128;

/** The users' side: a stream to listen on, and a place to ask. */
@Controller()
export class GatewayController {
  constructor(
    @Inject(StreamsService) private readonly streams: StreamsService,
    @Inject(QuestionsService) private readonly questions: QuestionsService,
    @Inject(ShedService) private readonly shed: ShedService,
  ) {}

  @Sse('sse')
  async stream(
    @Query('user') user: unknown,
    @SseSignal() signal: AbortSignal,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<Observable<MessageEvent>> {
    const name = identifier('user', user);
    this.shed.checkRate(name, reply);
    this.shed.checkStreams(reply);
    try {
      return await this.streams.openStream(name, signal);
    } catch (error) {
      throw failure('the stream could not be opened', error);
    }
  }

  @Post('questions')
  @HttpCode(HttpStatus.ACCEPTED)
  async ask(@Body() body: unknown, @Res({ passthrough: true }) reply: Reply): Promise<{ id: string }> {
    const question = readQuestion(body);
    this.shed.checkRate(question.user, reply);
    if (!(await this.accept(question))) this.shed.refuseQuestion(reply);
    return { id: question.id };
  }

  private async accept(question: Question): Promise<boolean> {
    try {
      return await this.questions.ask(question);
    } catch (error) {
      throw failure('the question could not be sent', error);
    }
  }
}

function readQuestion(body: unknown): Question {
  const { id, user, text } = (body ?? {}) as Record<string, unknown>;
  if (typeof text !== 'string') throw badRequest('text must be a string');
  return { id: identifier('id', id), user: identifier('user', user), text };
}

function identifier(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= MAX_ID_LENGTH) return value;
  throw badRequest(`${name} must be a string of 1 to ${MAX_ID_LENGTH} characters`);
}

function badRequest(error: string): HttpException {
  return new HttpException({ error }, HttpStatus.BAD_REQUEST);
}

function failure(what: string, error: unknown): HttpException {
  const reason = error instanceof Error ? error.message : String(error);
  return new HttpException({ error: `${what}: ${reason}` }, HttpStatus.INTERNAL_SERVER_ERROR);
}
