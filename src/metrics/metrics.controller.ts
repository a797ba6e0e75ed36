import { Controller, Get, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Metrics } from './metrics.js';
import { show } from './metrics.server.js';

/** What Prometheus asks for, unless it has a port of its own. */
@Controller()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get('metrics')
  show(@Res() response: Response): Promise<void> {
    return show(this.metrics, response);
  }
}
