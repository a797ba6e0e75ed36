import type { Response } from 'express';
import { z } from 'zod';
import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { World } from '../../test/simulator/world.js';
import { Audit } from '../audit/audit.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { IssuedSecrets } from '../auth/issued-secrets.js';
import type { Client } from '../config/clients.js';
import type { Action } from '../config/hub-file.js';
import { digestOf } from '../config/issued-secret.js';
import { Secret } from '../config/secret.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { MemoryStore } from '../credentials/store/memory.store.js';
import { ClientBudgets } from '../http/client-budgets.js';
import { officialAccount } from '../wechat/platforms/official-account.js';
import { readAnswer, type WechatCall } from '../wechat/wechat.client.js';
import { Callers } from './callers.js';
import { TokenController } from './token.controller.js';
import { VirtualTokens } from './virtual-tokens.js';

const APPID = 'wx0123456789abcdef';
const APPSECRET = 'app-secret';
const LIFE_S = 7200;
const RUN_S = 2 * LIFE_S + 600;
/** A second for the way to the client, and less than one by rounding. */
const TAKEN_OFF_S = 2;

/** What a client was given, and when. */
interface Given {
  readonly at: number;
  readonly access_token: string;
  readonly expires_in: number;
}

function client(name: string, may: Action): Client {
  const secrets = new Map([['default', [digestOf(`wths_${name}`)]]]);
  return { name, keys: [], apps: '*', may: new Set([may]), secrets };
}

/** A hub before WeChat, in a time that is driven. */
class Hub {
  readonly time = new VirtualTime();
  readonly world = new World({ clock: this.time, seed: 1 });
  private readonly controller: Promise<TokenController>;

  constructor(private readonly endpoint: 'classic' | 'stable') {
    this.world.account({ appid: APPID, secret: APPSECRET, kind: 'official-account', life: LIFE_S, overlap: 300 });
    this.controller = this.start();
  }

  /** What a client is given that asks now. */
  async ask(name: string): Promise<Given> {
    const url = `/cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=wths_${name}`;
    const controller = await this.controller;
    const request = { url, method: 'GET', headers: {}, requestId: 'id' } as ClientRequest;
    let text = '';
    const response = { setHeader: () => undefined, end: (bytes: Buffer) => (text = bytes.toString()) };
    await this.time.during(controller.token(request, response as unknown as Response));
    return { at: this.time.now(), ...(JSON.parse(text) as Omit<Given, 'at'>) };
  }

  private async start(): Promise<TokenController> {
    const { time } = this;
    const credentials = new CredentialsService(
      {
        clock: time,
        replica: 'hub',
        random: () => 0.5,
        sleep: time.sleep,
        store: new MemoryStore(time),
        wechat: { call: (dialect, call) => Promise.resolve(readAnswer(this.wechat(call), dialect, call)) },
        tell: () => undefined,
      },
      { burst: 3, everyMs: 30_000 },
    );
    const written = { appid: APPID, secret: 'x', endpoint: this.endpoint };
    const app = officialAccount.schema(z.any().transform(() => new Secret(APPSECRET))).parse(written);
    await credentials.apply(new Map([['default', app]]));
    const tick = (): void => {
      credentials.renewDue();
      time.in(5000, tick);
    };
    tick();
    const clients = [client('split', 'read'), client('proxied', 'proxy')];
    const secrets = new IssuedSecrets({ current: { clients: new Map(clients.map((one) => [one.name, one])) } });
    const now = (): number => time.now();
    const virtualTokens = new VirtualTokens({ secrets, appSecret: (name) => credentials.app(name)?.secret, now });
    const nowhere = { sourceAddressOf: () => '', sourceNetworkOf: () => '', tell: () => undefined };
    return new TokenController(
      credentials,
      new Callers(credentials, secrets, virtualTokens),
      new ClientBudgets({ perSecond: 2, burst: 4 }, now),
      await Audit.open(undefined, nowhere),
    );
  }

  private wechat({ path, query = {}, body }: WechatCall): string {
    const plain = (fields: object): [string, unknown][] =>
      Object.entries(fields).map(([name, value]) => [
        name,
        value instanceof Secret ? value.reveal() : (value as unknown),
      ]);
    const search = new URLSearchParams(plain(query) as [string, string][]).toString();
    if (!body) return this.world.answer({ method: 'GET', target: `${path}?${search}` }).body;
    const text = JSON.stringify(Object.fromEntries(plain(body)));
    const headers = { 'content-length': String(text.length) };
    return this.world.answer({ method: 'POST', target: path, body: text, headers }).body;
  }
}

describe.each(['classic', 'stable'] as const)(
  'over whole lives of a %s token, an SDK that asks every second',
  (endpoint) => {
    let hub: Hub;
    let given: Given[];

    async function askOverWholeLives(name: string): Promise<void> {
      hub = new Hub(endpoint);
      const start = hub.time.now();
      given = [];
      while (hub.time.now() < start + RUN_S * 1000) {
        given.push(await hub.ask(name));
        await hub.time.pass(1000);
      }
    }

    it('and calls WeChat itself is told the truth, which is above 1800 but for the last half hour of each', async () => {
      await askOverWholeLives('split');
      // What came of each in the end: WeChat ends the old one early where the hub has asked for another too early.
      const lies = given.filter(({ at, access_token, expires_in }) => {
        const left = (hub.world.verdict(access_token).until - at) / 1000;
        return !(expires_in <= left && expires_in >= left - TAKEN_OFF_S);
      });
      expect(lies).toEqual([]);
      const short = given.filter(({ expires_in }) => expires_in <= 1800).length / given.length;
      expect(short).toBeGreaterThan(0.2);
      expect(short).toBeLessThan(0.25);
      expect(new Set(given.map(({ access_token }) => access_token)).size).toBe(3);
    });

    it('costs WeChat a question in five minutes, and no token', async () => {
      await askOverWholeLives('split');
      expect(given.length).toBeGreaterThan(RUN_S * 0.9);
      expect(hub.world.mints(APPID, endpoint)).toBe(3);
      const questions = hub.world.count('/cgi-bin/get_api_domain_ip');
      expect(questions).toBeGreaterThan(3);
      expect(questions).toBeLessThanOrEqual(3 + Math.ceil(RUN_S / 300));
    });

    it('and calls through the hub is told 7200, always', async () => {
      await askOverWholeLives('proxied');
      expect(new Set(given.map(({ expires_in }) => expires_in))).toEqual(new Set([7200]));
      expect(given).toHaveLength(RUN_S);
    });
  },
);
