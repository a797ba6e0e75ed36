import {
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import express, { type Request, type Response } from 'express';
import { parseStrictJson } from '../config/strict-json.js';
import { MalformedRequest } from './query.js';
import { isRawBody } from './raw-body.js';

const MAX_BODY = '16kb';
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads the body of a POST as JSON, whatever the client calls it; of no other request, and not before it is known who
 * asks: interceptors come after guards.
 */
export class JsonBody implements NestInterceptor {
  private readonly read = express.raw({ limit: MAX_BODY, type: () => true, inflate: false });

  async intercept(context: ExecutionContext, next: CallHandler): Promise<ReturnType<CallHandler['handle']>> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    if (request.method === 'POST' && !isRawBody(context.getHandler(), context.getClass())) {
      await new Promise<void>((resolve, reject) => {
        this.read(request, http.getResponse<Response>(), (error?: Error) => {
          if (error) reject(error);
          else resolve();
        });
      });
      request.body = parsed(request.body, request.headers['content-type']);
    }
    return next.handle();
  }
}

function parsed(body: unknown, contentType = ''): unknown {
  const charset = /;\s*charset="?([^";\s]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  if (!/^utf-?8$/i.test(charset)) throw new UnsupportedMediaTypeException();
  try {
    return parseStrictJson(Buffer.isBuffer(body) ? utf8.decode(body) : '');
  } catch {
    throw new MalformedRequest('The body is not JSON in UTF-8 in which every name stands once.');
  }
}
