import { type DynamicModule, Module } from '@nestjs/common';
import { Metrics } from './metrics.js';
import { MetricsController } from './metrics.controller.js';

/** The hub in figures, on the port of the hub unless they have one of their own. */
@Module({})
export class MetricsModule {
  static of(metrics: Metrics, { onHubPort }: { readonly onHubPort: boolean }): DynamicModule {
    return {
      module: MetricsModule,
      controllers: onHubPort ? [MetricsController] : [],
      providers: [{ provide: Metrics, useValue: metrics }],
    };
  }
}
