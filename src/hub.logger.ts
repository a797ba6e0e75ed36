import { ConsoleLogger, type LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type { LogLevel } from './config/environment.js';

/** What the framework says of itself while it starts; nobody at three in the morning wants to read past it. */
const FRAMEWORK = ['InstanceLoader', 'NestApplication', 'NestFactory', 'RouterExplorer', 'RoutesResolver'];

const NEST_LEVELS = { debug: 'debug', info: 'log', warn: 'warn', error: 'error' } as const;

type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** So much waits at most for a collector that hangs, which must not cost the hub its memory; what is said beyond that is lost. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;

/** Node's own queue, as the audit uses it: two ways to a pipe that is full would write into each other's lines. */
const STDOUT = {
  write(line: string): void {
    if (process.stdout.writableLength < MOST_WAITING_BYTES) process.stdout.write(line);
  },
};

/** The log of a hub that nobody looks at: a line of JSON for every event, for machines to gather. */
class JsonLogger implements LoggerService {
  private readonly pino: Logger;

  constructor(level: LogLevel) {
    const timestamp = pino.stdTimeFunctions.isoTime;
    this.pino = pino({ level, timestamp, formatters: { level: (label) => ({ level: label }) } }, STDOUT);
  }

  debug(message: unknown, ...more: unknown[]): void {
    this.write('debug', message, more);
  }

  verbose(message: unknown, ...more: unknown[]): void {
    this.write('debug', message, more);
  }

  log(message: unknown, ...more: unknown[]): void {
    if (!isOfFramework(more)) this.write('info', message, more);
  }

  warn(message: unknown, ...more: unknown[]): void {
    this.write('warn', message, more);
  }

  error(message: unknown, ...more: unknown[]): void {
    this.write('error', message, more);
  }

  fatal(message: unknown, ...more: unknown[]): void {
    this.write('fatal', message, more);
  }

  /** Nest's loggers give the context last; whatever else they give is the framework's affair. */
  private write(level: Level, message: unknown, more: readonly unknown[]): void {
    const context = more.at(-1);
    const fields = typeof context === 'string' ? { context } : {};
    if (typeof message === 'object' && message !== null) this.pino[level]({ ...fields, ...message });
    else this.pino[level](fields, String(message));
  }
}

/** The log of a hub that somebody looks at. */
class TerminalLogger extends ConsoleLogger {
  constructor(level: LogLevel) {
    const levels = Object.keys(NEST_LEVELS) as LogLevel[];
    super({ logLevels: [...levels.slice(levels.indexOf(level)).map((each) => NEST_LEVELS[each]), 'fatal'] });
  }

  override log(message: unknown, ...more: unknown[]): void {
    if (!isOfFramework(more)) super.log(textOf(message), ...more);
  }

  override debug(message: unknown, ...more: unknown[]): void {
    super.debug(textOf(message), ...more);
  }

  override warn(message: unknown, ...more: unknown[]): void {
    super.warn(textOf(message), ...more);
  }

  override error(message: unknown, ...more: unknown[]): void {
    super.error(textOf(message), ...more);
  }
}

/** The log of the hub: lines for people on a terminal, JSON for machines elsewhere. */
export function hubLogger(level: LogLevel): LoggerService {
  return process.stdout.isTTY ? new TerminalLogger(level) : new JsonLogger(level);
}

function isOfFramework(more: readonly unknown[]): boolean {
  return FRAMEWORK.includes(String(more.at(-1)));
}

/** On a terminal the words are enough. */
function textOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'msg' in message ? message.msg : message;
}
