import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import express, { type Request, type Response } from 'express';

const MAX_BODY = '16kb';

/**
 * Reads the body of a POST as JSON, whatever the client calls it; of no other request, and not before it is known who
 * asks: interceptors come after guards.
 */
export class JsonBody implements NestInterceptor {
  private readonly read = express.json({ limit: MAX_BODY, type: () => true, inflate: false });

  async intercept(context: ExecutionContext, next: CallHandler): Promise<ReturnType<CallHandler['handle']>> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    if (request.method === 'POST') {
      await new Promise<void>((resolve, reject) => {
        this.read(request, http.getResponse<Response>(), (error?: Error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    }
    return next.handle();
  }
}
