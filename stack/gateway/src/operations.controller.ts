import { Controller, Get, Header, HttpException, HttpStatus, Inject } from '@nestjs/common';
import { MetricsService } from './metrics.service.js';
import { RedisService } from './redis.service.js';

/** The operators' side. */
@Controller()
export class OperationsController {
  constructor(
    @Inject(RedisService) private readonly redis: RedisService,
    @Inject(MetricsService) private readonly metrics: MetricsService,
  ) {}

  @Get('health')
  async health(): Promise<{ status: 'ok' }> {
    try {
      await this.redis.ping();
    } catch (error) {
      throw new HttpException({ error: (error as Error).message }, HttpStatus.SERVICE_UNAVAILABLE);
    }
    return { status: 'ok' };
  }

  @Get('metrics')
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  exposition(): Promise<string> {
    return this.metrics.text();
  }
}
