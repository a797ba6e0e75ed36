import type { LoggerService } from '@nestjs/common';
import jwt from 'jsonwebtoken';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Environment } from '../src/config/secret-reader.js';
import { Hub } from '../src/hub.js';
import type { AccountSwitches } from './simulator/account.js';
import { Simulator } from './simulator/server.js';

// What the tests send stays on this machine, whatever proxy it usually goes out by.
process.env['NO_PROXY'] = '127.0.0.1';

/** The official account that stands behind the app `default`. */
export const APPID = 'wx0123456789abcdef';
/** Its AppSecret; like the key, a text that is found at once where it should not be. */
export const APPSECRET = 'app-secret-8c1f0d5e7a9b4c3d';
/** The key of the client `web`. */
export const WEB_KEY = 'web-key-2f6d8e1a4b7c9d0e3f5a8b1c4d7e0f3a';

/** A JWT as a client would make it. */
export function tokenFor(kid = 'web', key = WEB_KEY, claims: object = {}): string {
  return jwt.sign({ aud: 'wechat-token-hub', ...claims }, key, { keyid: kid, expiresIn: '5m' });
}

/** What an answer of the hub was, read whole. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, if it is JSON. */
  readonly json: Record<string, unknown>;
}

/** A request to a hub; without a `token` of its own it is the client `web`'s, with `null` nobody's. */
export interface Asking extends Omit<RequestInit, 'headers'> {
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
}

/** Asks a hub as the client `web` would, unless told otherwise. */
export async function ask(url: string, init: Asking = {}): Promise<Reply> {
  const { token = tokenFor(), headers, ...rest } = init;
  const authorization = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(url, { redirect: 'manual', ...rest, headers: { ...authorization, ...headers } });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  const json = (isJson && text ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, text, json };
}

/** A hub in this process, booted against a simulator of its own. */
export class Stage {
  private constructor(
    readonly simulator: Simulator,
    readonly environment: Environment,
    readonly dataDir: string,
    private readonly logger: LoggerService | false,
    private hub: Hub,
  ) {}

  /**
   * @param environment more settings; `undefined` takes one of the usual ones away.
   * @param account how WeChat treats the account of the app `default`.
   * @param logger hears what the hub logs.
   */
  static async set(
    environment: Environment = {},
    account: Partial<AccountSwitches> = {},
    logger: LoggerService | false = false,
  ): Promise<Stage> {
    const simulator = await Simulator.start();
    simulator.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account', ...account });
    const dataDir = mkdtempSync(join(tmpdir(), 'hub-'));
    const full = { ...environmentFor(simulator, dataDir), ...environment };
    return new Stage(simulator, full, dataDir, logger, await Hub.start(full, logger));
  }

  get url(): string {
    return `http://127.0.0.1:${this.hub.port}`;
  }

  /** The port of the metrics, if they have one of their own. */
  get metricsPort(): number | undefined {
    return this.hub.metricsPort;
  }

  /** Asks for a path of the hub. */
  ask(path: string, init: Asking = {}): Promise<Reply> {
    return ask(this.url + path, init);
  }

  /** Posts JSON to a path of the hub. */
  post(path: string, body: unknown, init: Asking = {}): Promise<Reply> {
    const headers = { 'Content-Type': 'application/json' };
    return this.ask(path, { method: 'POST', body: JSON.stringify(body), headers, ...init });
  }

  /** Stops the hub in order and starts it anew on the same folder. */
  async restart(environment: Environment = {}): Promise<void> {
    await this.hub.stop();
    this.hub = await Hub.start({ ...this.environment, ...environment }, this.logger);
  }

  async strike(): Promise<void> {
    await this.hub.stop();
    await this.simulator.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** The usual settings: the app `default`, one client `web`, any port. */
export function environmentFor(simulator: Simulator, dataDir: string): Record<string, string> {
  return {
    PORT: '0',
    WECHAT_API_ROOT: simulator.url,
    WECOM_API_ROOT: simulator.wecomUrl,
    DATA_DIR: dataDir,
    APPID,
    APPSECRET,
    JWT_KEY_web: WEB_KEY,
  };
}

/** Bytes on the heap once everything that nobody needs is gone. */
export function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
