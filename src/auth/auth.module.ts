import { Module } from '@nestjs/common';
import { ClientGuard } from './client.guard.js';
import { JwtStrategy } from './jwt.strategy.js';

/** Who may ask: tells clients by their JWT, and what each may do. */
@Module({ providers: [JwtStrategy, ClientGuard], exports: [JwtStrategy, ClientGuard] })
export class AuthModule {}
