import { type DynamicModule, Module } from '@nestjs/common';
import { ContextService } from './context.service.js';
import { GatewayController } from './gateway.controller.js';
import { MetricsService } from './metrics.service.js';
import { OperationsController } from './operations.controller.js';
import { QuestionsService } from './questions.service.js';
import { RedisService } from './redis.service.js';
import type { Settings } from './settings.js';
import { ShedService } from './shed.service.js';
import { StreamsService } from './streams.service.js';
import { SETTINGS } from './tokens.js';

@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      controllers: [GatewayController, OperationsController],
      providers: [
        { provide: SETTINGS, useValue: settings },
        RedisService,
        ContextService,
        StreamsService,
        QuestionsService,
        ShedService,
        MetricsService,
      ],
    };
  }
}
