import { jest } from '@jest/globals';
import type { LoggerService } from '@nestjs/common';
import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hub } from '../src/hub.js';
import { bearer, good, REFUSAL, seconds, withClaims, withMembers } from './authorization.rows.js';
import { ask, type Reply, Stage, tokenFor, WEB_KEY } from './hub.fixture.js';
import { until } from './redis.fixture.js';
import { exchange, exchangeOne } from './wire.fixture.js';

const CLIENT_KEY = 'client-key-7d1e5b9f3a6c0d4e8f2b7a1c5d9e3f6b';
const SHOP = { appid: 'wxshop0123456789', secret: 'shop-secret-4e8f2b7a1c5d9e3f' };

/** Clients that see the app `shop` alone, one for each right and one for each way to have none. */
const MAY = { reader: ['read'], rotator: ['rotate'], reporter: ['report'], signer: ['sign'], nobody: [] };
const folder = mkdtempSync(join(tmpdir(), 'door-'));
const hubFile = join(folder, 'hub.json');
const clients = Object.entries<string[] | undefined>({ ...MAY, usual: undefined }).map(
  ([kid, may]) => [kid, { key: { env: 'CLIENT_KEY' }, apps: ['shop'], ...(may && { may }) }] as const,
);
writeFileSync(
  hubFile,
  JSON.stringify({
    apps: { shop: { platform: 'official-account', appid: SHOP.appid, secret: { env: 'SHOP_SECRET' } } },
    clients: {
      ...Object.fromEntries(clients),
      blind: { key: { env: 'CLIENT_KEY' }, apps: [], may: ['read', 'rotate'] },
    },
  }),
);
const environment = { HUB_CONFIG: hubFile, CLIENT_KEY, SHOP_SECRET: SHOP.secret };

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set(environment);
  stage.simulator.world.account({ ...SHOP, kind: 'official-account' });
});
afterAll(async () => {
  await stage.strike();
  rmSync(folder, { recursive: true });
});

describe('the door', () => {
  it('opens for a target in absolute form, as proxies send it', async () => {
    const reply = await exchangeOne(stage.url, `GET ${stage.url}/access-token HTTP/1.1`, bearer(good()));
    expect(reply.status).toBe(200);
  });

  it('stays shut when any one character of a good token is another', async () => {
    const token = good();
    const others = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.');
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...others), async (position, other) => {
        fc.pre(token[position] !== other);
        const changed = token.slice(0, position) + other + token.slice(position + 1);
        const reply = await stage.ask('/access-token', { token: changed });
        expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
      }),
      { numRuns: 200 },
    );
  });

  it('stays shut for any header that can be sent', async () => {
    const printable = fc.string({ unit: 'grapheme-ascii' });
    await fc.assert(
      fc.asyncProperty(printable, fc.constantFrom('', 'Bearer ', 'Bearer a.'), async (value, start) => {
        const reply = await exchangeOne(stage.url, 'GET /access-token HTTP/1.1', [`Authorization: ${start}${value}`]);
        expect([reply.status, reply.body]).toEqual([401, REFUSAL]);
      }),
    );
  });

  it.each([
    ['GET', '/access-token'],
    ['GET', '/access_token'],
    ['GET', '/ticket?type=jsapi'],
    ['GET', '/ticket'],
    ['GET', '/apps'],
    ['GET', '/apps/shop/access-token'],
    ['GET', '/apps/shop/access-token?rotate_token=x'],
    ['GET', '/apps/shop/access-token?unknown=x'],
    ['GET', '/apps/no-such-app/access-token'],
    ['GET', '/apps/shop/ticket?type=jsapi'],
    ['POST', '/apps/shop/access-token/report'],
    ['POST', '/apps/shop/jssdk-config'],
  ])('is in front of %s %s', async (method, path) => {
    for (const token of [null, 'a.b.c', withMembers({}, CLIENT_KEY)]) {
      const reply = await stage.ask(path, { method, token });
      expect([reply.status, reply.text]).toEqual([401, REFUSAL]);
      expect(reply.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    }
  });

  it('tells apart whose requests come at once on one connection, as proxies may send them', async () => {
    const keyed = (kid: string): string => withMembers({ kid }, CLIENT_KEY);
    const asking: readonly (readonly [token: string, status: number])[] = [
      [good(), 200],
      [keyed('reader'), 200],
      [keyed('nobody'), 403],
      [keyed('blind'), 404],
      ['a.b.c', 401],
      [withMembers({ kid: 'reader' }), 401],
      [keyed('signer'), 403],
      [good(), 200],
    ];
    const shuffled = fc.shuffledSubarray([...asking], { minLength: 2 });
    await fc.assert(
      fc.asyncProperty(shuffled, async (requests) => {
        const lines = requests.map(
          ([token], i) =>
            `GET /apps/shop/access-token HTTP/1.1\r\nHost: hub\r\n${bearer(token).join('')}\r\n` +
            `Connection: ${i === requests.length - 1 ? 'close' : 'keep-alive'}\r\n\r\n`,
        );
        const replies = await exchange(stage.url, lines.join(''));
        expect(replies.map((reply) => reply.status)).toEqual(requests.map(([, status]) => status));
      }),
      { numRuns: 50 },
    );
  });

  it('shuts at the same instant for a token that came before as for one that comes for the first time', async () => {
    const now = seconds();
    const at = (time: number): void => void jest.spyOn(Date, 'now').mockReturnValue(time * 1000);
    at(now);
    for (const [claims, last, over] of [
      [{ exp: now + 10 }, now + 39.9, now + 40],
      [{ nbf: now }, now - 30, now - 31],
      [{ iat: now }, now - 30, now - 31],
    ] as const) {
      const again = withClaims({ ...claims, jti: 'again' });
      const statuses = [];
      for (const time of [now, last, over, now]) {
        at(time);
        const first = withClaims({ ...claims, jti: String(time) });
        for (const token of [again, again, first]) statuses.push((await stage.ask('/access-token', { token })).status);
      }
      expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 401, 401, 401, 200, 200, 200]);
    }
  });

  it('does not take the token from the query or a body', async () => {
    const inQuery = await stage.ask(`/access-token?access_token=${good()}`, { token: null });
    const inBody = await stage.post('/apps/shop/jssdk-config', { access_token: good() }, { token: null });
    expect([inQuery.text, inBody.text]).toEqual([REFUSAL, REFUSAL]);
  });
});

describe('what a known client may', () => {
  const as = (kid: string): string => jwt.sign({ aud: 'wechat-token-hub' }, CLIENT_KEY, { keyid: kid, expiresIn: 60 });

  const ASKING: Readonly<Record<string, (app: string, token: string) => Promise<Reply>>> = {
    read: (app, token) => stage.ask(`/apps/${app}/access-token`, { token }),
    'read a ticket': (app, token) => stage.ask(`/apps/${app}/ticket?type=jsapi`, { token }),
    rotate: (app, token) => stage.ask(`/apps/${app}/access-token?rotate_token=of-old`, { token }),
    'rotate a ticket': (app, token) => stage.ask(`/apps/${app}/ticket?type=jsapi&rotate_ticket=of-old`, { token }),
    report: (app, token) => stage.post(`/apps/${app}/access-token/report`, { token: 'of-old' }, withToken(token)),
    sign: (app, token) => stage.post(`/apps/${app}/jssdk-config`, { url: 'https://shop.example/' }, withToken(token)),
  };
  const withToken = (token: string) => ({ token });

  it.each<[kid: string, able: string[]]>([
    ['reader', ['read', 'read a ticket']],
    ['rotator', ['rotate', 'rotate a ticket']],
    ['reporter', ['report']],
    ['signer', ['sign']],
    ['nobody', []],
    ['usual', ['read', 'read a ticket', 'report']],
  ])('%s: %j and nothing else', async (kid, able) => {
    for (const [action, asking] of Object.entries(ASKING)) {
      const reply = await asking('shop', as(kid));
      expect([action, reply.status]).toEqual([action, able.includes(action) ? 200 : 403]);
    }
  });

  it('a client of the environment may read, rotate, report and sign for every app', async () => {
    for (const asking of Object.values(ASKING)) {
      expect((await asking('shop', tokenFor())).status).toBe(200);
      expect((await asking('default', tokenFor())).status).toBe(200);
      expect((await asking('no-such-app', tokenFor())).status).toBe(404);
    }
  });

  it('403 is constant and says nothing of the request', async () => {
    const replies = await Promise.all(Object.values(ASKING).map((asking) => asking('shop', as('nobody'))));
    const body = '{"type":"/problems/forbidden","title":"This client may not do that","status":403}';
    expect(replies.map(({ text }) => text)).toEqual(replies.map(() => body));
  });

  it.each(['reader', 'rotator', 'reporter', 'signer', 'nobody', 'blind'])(
    'for %s an app of others is as one that does not exist',
    async (kid) => {
      const seen = ({ status, headers, text }: Reply): unknown => {
        const lasting = [...headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
        return { status, lasting, text };
      };
      const body = '{"type":"/problems/not-found","title":"There is nothing here","status":404}';
      for (const asking of Object.values(ASKING)) {
        const others = await asking('default', as(kid));
        expect(seen(others)).toEqual(seen(await asking('no-such-app', as(kid))));
        expect([others.status, others.text]).toEqual([404, body]);
      }
    },
  );

  it('the paths of the original are for the app default, which may not be there for a client', async () => {
    for (const path of ['/access-token', '/access_token', '/ticket?type=jsapi']) {
      expect((await stage.ask(path, { token: as('reader') })).status).toBe(404);
    }
  });

  it('the list of apps shows those that the client sees, and needs the right to read', async () => {
    const namesFor = async (token: string) =>
      ((await stage.ask('/apps', { token })).json['apps'] as { name: string }[]).map(({ name }) => name).sort();
    expect(await namesFor(as('reader'))).toEqual(['shop']);
    expect(await namesFor(as('blind'))).toEqual([]);
    expect(await namesFor(tokenFor())).toEqual(['default', 'shop']);
    for (const kid of ['rotator', 'reporter', 'signer', 'nobody']) {
      expect((await stage.ask('/apps', { token: as(kid) })).status).toBe(403);
    }
  });

  it('nothing of the token comes back, whatever the answer', async () => {
    for (const kid of ['reader', 'nobody', 'web', 'unknown']) {
      const token = kid === 'web' ? tokenFor() : as(kid);
      for (const asking of Object.values(ASKING)) {
        for (const app of ['shop', 'no-such-app']) {
          const { headers, text } = await asking(app, token);
          const answer = JSON.stringify([...headers]) + text;
          for (const part of token.split('.')) expect(answer).not.toContain(part.slice(0, 12));
        }
      }
    }
  });
});

describe('a client that waits for WeChat when another configuration comes into force', () => {
  const TOKEN = tokenFor('partner', CLIENT_KEY);
  const partner = { key: { env: 'CLIENT_KEY' }, apps: ['shop'], may: ['read', 'rotate', 'report', 'sign'] };
  const shop = { platform: 'official-account', appid: SHOP.appid, secret: { env: 'SHOP_SECRET' } };
  const file = join(folder, 'changing.json');
  let changing: Stage;

  function configure(clients: object, apps: object = { shop }): void {
    writeFileSync(file, JSON.stringify({ apps, clients }));
  }

  beforeEach(async () => {
    configure({ partner });
    changing = await Stage.set({ ...environment, HUB_CONFIG: file });
    changing.simulator.world.account({ ...SHOP, kind: 'official-account' });
  });
  afterEach(() => changing.strike());

  /** The answer to a request that was waiting when the other configuration came. */
  async function answerTo(
    asking: () => Promise<Reply>,
    clients: object,
    apps?: object,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<Reply> {
    const before = changing.simulator.world.calls.length;
    changing.simulator.world.faults.add({ kind: 'slow', milliseconds: 1500, appid: SHOP.appid, times: 1 });
    let isAnswered = false;
    const waiting = asking().finally(() => (isAnswered = true));
    await until(() => Promise.resolve(changing.simulator.world.calls.length > before));
    configure({ ...clients, other: { ...partner, apps: '*' } }, apps);
    await until(async () => (await changing.ask('/apps', { token: tokenFor('other', CLIENT_KEY) })).status === 200);
    await meanwhile();
    expect(isAnswered).toBe(false);
    return waiting;
  }

  const read = (): Promise<Reply> => changing.ask('/apps/shop/access-token', { token: TOKEN });

  it.each<[string, object, number]>([
    ['gets the token if it may have it as before', { partner }, 200],
    ['gets nothing if it is gone', {}, 401],
    ['gets nothing if it has another key', { partner: { ...partner, key: { env: 'SHOP_SECRET' } } }, 401],
    ['gets nothing if it does not see the app', { partner: { ...partner, apps: [] } }, 404],
    ['gets nothing if it may not read', { partner: { ...partner, may: ['report'] } }, 403],
  ])('%s', async (_, clients, status) => {
    expect((await answerTo(read, clients)).status).toBe(status);
  });

  it('gets nothing of an app that is gone, and nobody does, although it still waits', async () => {
    const crm = { ...shop, appid: 'wxcrm01234567890' };
    let others: Reply | undefined;
    const waiting = answerTo(read, { partner: { ...partner, apps: '*' } }, { crm }, async () => {
      others = await changing.ask('/apps/shop/access-token');
    });
    expect((await waiting).status).toBe(404);
    expect(others?.status).toBe(404);
  });

  it.each<[string, (old: string) => Promise<Reply>]>([
    ['a rotation', (old) => changing.ask(`/apps/shop/access-token?rotate_token=${old}`, { token: TOKEN })],
    ['a report', (token) => changing.post('/apps/shop/access-token/report', { token }, { token: TOKEN })],
    ['a ticket', () => changing.ask('/apps/shop/ticket?type=jsapi', { token: TOKEN })],
    ['a page', () => changing.post('/apps/shop/jssdk-config', { url: 'https://shop.example/' }, { token: TOKEN })],
  ])('gets nothing for %s, either, if it is gone', async (_, asking) => {
    const { json } = await read();
    const { status, text } = await answerTo(() => asking(String(json['access_token'])), {});
    expect([status, text]).toEqual([401, REFUSAL]);
  });
});

describe('under AUTH_STRICT', () => {
  let strict: Stage;
  beforeAll(async () => (strict = await Stage.set({ AUTH_STRICT: 'true' })));
  afterAll(() => strict.strike());

  it.each<[string, () => object, number]>([
    ['no exp', () => ({}), 401],
    ['an exp in five minutes', () => ({ exp: seconds() + 300 }), 200],
    ['an exp within the leeway', () => ({ exp: seconds() - 20 }), 200],
    ['an exp before the leeway', () => ({ exp: seconds() - 31 }), 401],
    ['an exp in almost 366 days', () => ({ exp: seconds() + 366 * 86_400 - 60 }), 200],
    ['an exp in more than 366 days', () => ({ exp: seconds() + 366 * 86_400 + 60 }), 401],
    ['an exp in a thousand years', () => ({ exp: 32_000_000_000 }), 401],
    ['an exp that is a text', () => ({ exp: String(seconds() + 300) }), 401],
  ])('a token with %s', async (_, claims, status) => {
    const reply = await strict.ask('/access-token', { token: withClaims(claims()) });
    expect(reply.status).toBe(status);
    expect(reply.text === REFUSAL).toBe(status === 401);
  });
});

describe('the log', () => {
  /** Keeps every line in memory. */
  class Lines implements LoggerService {
    readonly all: string[] = [];
    readonly log = this.take.bind(this);
    readonly error = this.take.bind(this);
    readonly warn = this.take.bind(this);

    private take(...message: unknown[]): void {
      this.all.push(message.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' '));
    }
  }

  it('says which check failed, with the kid where it is one, and nothing of the token', async () => {
    const lines = new Lines();
    const dataDir = mkdtempSync(join(tmpdir(), 'hub-'));
    const hub = await Hub.start({ ...stage.environment, DATA_DIR: dataDir }, lines);
    const longest = 'k'.repeat(64);
    const tokens = [
      'not.a.token',
      withMembers({ kid: longest }),
      withMembers({ kid: `${longest}k` }),
      withMembers({ kid: 'web\u001b[31m' }),
      withMembers({ alg: 'none' }),
      withMembers({}, CLIENT_KEY),
      withClaims({ exp: 1 }),
      withClaims({ aud: 'other-audience-9f8e7d' }),
      withMembers({ jku: 'https://evil.example/' }),
    ];
    const before = lines.all.length;
    try {
      const url = `http://127.0.0.1:${hub.port}/access-token`;
      for (const token of tokens) expect((await ask(url, { token })).status).toBe(401);
    } finally {
      await hub.stop();
      rmSync(dataDir, { recursive: true });
    }
    const refusals = lines.all.slice(before).filter((line) => line.includes('refused a token'));
    expect(refusals).toHaveLength(tokens.length);
    const text = refusals.join('\n');
    const telling = [
      `of the kid ${longest}: the kid is unknown.`,
      'of the kid web: invalid signature.',
      'the kid is no kid',
      'jku',
      'expired',
      'algorithm',
    ];
    for (const words of telling) expect(text).toContain(words);
    expect(text).not.toContain(`${longest}k`);
    for (const escape of ['\u001b', '\\u001b']) expect(text).not.toContain(escape);
    for (const token of tokens) for (const part of token.split('.').slice(1)) expect(text).not.toContain(part + '.');
    expect(lines.all.join('\n')).not.toMatch(/eyJ|other-audience-9f8e7d|evil\.example/);
    expect(lines.all.join('\n')).not.toContain(WEB_KEY);
    expect(lines.all.join('\n')).not.toContain(CLIENT_KEY);
  });
});
