import { Controller, Get, Header, Query } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { readFileSync } from 'node:fs';
import type { Settings } from '../config/environment.js';
import { noQuery } from '../credentials/parameters.js';

/** Written by the build. It lies at the same place seen from the source, where tests run. */
const DOCUMENT = new URL('../../dist/openapi.json', import.meta.url);

/** Tells those who write clients what the hub understands and answers. */
@Controller()
export class OpenapiController {
  private readonly document: string;

  constructor(config: ConfigService<Settings, true>) {
    const document = JSON.parse(readFileSync(DOCUMENT, 'utf8')) as { readonly paths: Record<string, unknown> };
    // With a port of their own, the metrics are not here.
    if (config.get('metricsPort') !== undefined) delete document.paths['/metrics'];
    this.document = JSON.stringify(document);
  }

  @Get('openapi.json')
  @Header('Content-Type', 'application/json')
  show(@Query({ schema: noQuery }) _query: object): string {
    return this.document;
  }
}
