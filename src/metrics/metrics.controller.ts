import { Controller, Get, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Metrics } from './metrics.js';

/** What Prometheus asks for, unless it has a port of its own. */
@Controller()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get('metrics')
  async show(@Res() response: Response): Promise<void> {
    const text = await this.metrics.text();
    response.set('Content-Type', this.metrics.contentType).end(text);
  }
}
