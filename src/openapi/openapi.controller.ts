import { Controller, Get, Header, type INestApplication, Query } from '@nestjs/common';
import { noQuery } from '../credentials/parameters.js';
import { documentOf } from './document.js';

/** Tells those who write clients what the hub understands and answers. */
@Controller()
export class OpenapiController {
  private document = '';

  /** Writes the document, once and for all: it depends on nothing that changes while the hub runs. */
  describe(app: INestApplication, version: string): void {
    this.document = JSON.stringify(documentOf(app, version));
  }

  @Get('openapi.json')
  @Header('Content-Type', 'application/json')
  show(@Query({ schema: noQuery }) _query: object): string {
    return this.document;
  }
}
