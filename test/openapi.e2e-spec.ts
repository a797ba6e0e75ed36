import { Validator } from '@seriousme/openapi-schema-validator';
import { jest } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Express } from 'express';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newKey } from '../src/config/random-keys.js';
import { describeHub } from '../src/describe.js';
import { HubAdapter } from '../src/http/hub.adapter.js';
import { OPERATIONS } from '../src/openapi/operations.js';
import { type Asking, type Reply, Stage, tokenFor } from './hub.fixture.js';
import type { Fault } from './simulator/faults.js';
import { exchange } from './wire.fixture.js';

/** What cannot be provoked, and why nobody tries. */
const UNSEEN_STATUSES = { 500: 'a fault of the hub that anybody could cause would be mended' };
const UNSEEN_TYPES = {
  '500 /problems/internal-error': 'as above',
  '503 /problems/store-unreachable': 'takes a shared store; see the tests with Redis',
};

const PROBLEM = 'application/problem+json';

type Schema = Readonly<Record<string, unknown>>;
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: Schema;
}
interface Media {
  readonly schema: Schema;
}
interface Told {
  readonly description: string;
  readonly headers: Readonly<Record<string, Reference>>;
  readonly content?: Readonly<Record<string, Media>>;
}
interface Reference {
  readonly $ref: string;
}
interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security: readonly { readonly jwt: readonly string[] }[];
  readonly parameters: readonly (Parameter | Reference)[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Told | Reference>>;
}
interface Document {
  readonly info: Readonly<Record<string, unknown>>;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly headers: Readonly<Record<string, { readonly required: boolean; readonly schema: Schema }>>;
    readonly schemas: Readonly<Record<string, Schema>>;
  };
}

/** What the document and the hub are compared by, whether it came by `fetch` or over the wire. */
type Answer = Pick<Reply, 'status' | 'headers' | 'text'>;

/** Reads the document as a client would. */
class Reader {
  private readonly ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }));
  private readonly validators = new Map<Schema, ValidateFunction>();

  constructor(readonly document: Document) {}

  /** The operation of a name such as `GET /apps`. */
  operation(name: string): Operation {
    const [method = '', path = ''] = name.split(' ');
    const operation = this.document.paths[path]?.[method.toLowerCase()];
    if (!operation) throw new Error(`${name} is not in the document`);
    return operation;
  }

  /** What is told of an operation's answer with a status. */
  told(name: string, status: number): Told | undefined {
    const told = this.operation(name).responses[status];
    return told && this.resolved(told);
  }

  resolved<T extends object>(value: T | Reference): T {
    if (!('$ref' in value)) return value;
    const parts = value.$ref.slice(2).split('/');
    return parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], this.document) as T;
  }

  /** In what a value is not as a schema has it. */
  faultsOf(value: unknown, schema: Schema): unknown[] {
    const validate =
      this.validators.get(schema) ??
      this.ajv.compile(closed({ ...schema, components: { schemas: this.document.components.schemas } }));
    this.validators.set(schema, validate);
    validate(value);
    return validate.errors ?? [];
  }
}

/** Leaves no room for what is not described: clients may get more in a later version, but not without a word here. */
function closed<T>(schema: T, isPart = false): T {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map((item: unknown) => closed(item, isPart)) as T;
  const inner = Object.entries(schema).map(([key, value]): [string, unknown] => [key, closed(value, key === 'allOf')]);
  const isOpen = ('properties' in schema || 'allOf' in schema) && !('additionalProperties' in schema);
  return { ...Object.fromEntries(inner), ...(isOpen && !isPart && { unevaluatedProperties: false }) } as T;
}

const WARM = { appid: 'wxwarm0123456789', secret: 'warm-secret-7d1e9a3c5b8f2046' };
const KEY = 'client-key-6b0e2d4f8a1c3e5d7f9b0a2c4e6d8f1b';
const RIGHTS = ['read', 'rotate', 'report', 'sign'];
const folder = mkdtempSync(join(tmpdir(), 'openapi-'));
const environment = { HUB_CONFIG: join(folder, 'hub.json'), WARM_SECRET: WARM.secret, CLIENT_KEY: KEY };
const key = { env: 'CLIENT_KEY' };
const configuration = {
  apps: { warm: { platform: 'official-account', appid: WARM.appid, secret: { env: 'WARM_SECRET' } } },
  clients: {
    ...Object.fromEntries(RIGHTS.map((right) => [`may-${right}`, { key, apps: '*', may: [right] }])),
    hasty: { key, apps: '*', may: RIGHTS, rate: { perSecond: 0.001, burst: 1 } },
    stranger: { key, apps: ['warm'], may: RIGHTS },
  },
};
writeFileSync(environment.HUB_CONFIG, JSON.stringify(configuration));

async function setStage(more: Readonly<Record<string, string>> = {}): Promise<Stage> {
  const stage = await Stage.set({ ...environment, ...more });
  stage.simulator.world.account({ ...WARM, kind: 'official-account' });
  return stage;
}

/** A hub that knows the app `warm` well, and `default` not at all, when something begins to go wrong. */
async function setFaultyStage(fault: Fault): Promise<Stage> {
  const stage = await setStage();
  await stage.ask('/apps/warm/access-token');
  stage.simulator.world.faults.add(fault);
  return stage;
}

let stage: Stage;
let reader: Reader;
const seenStatuses = new Set<string>();
const seenTypes = new Set<string>();
let routes: string[];
beforeAll(async () => {
  const started = jest.spyOn(HubAdapter.prototype, 'initHttpServer');
  stage = await setStage({ ROTATION_BURST: '1' });
  routes = routesOf((started.mock.contexts[0] as HubAdapter).getInstance());
  reader = new Reader((await stage.ask('/openapi.json', { token: null })).json as unknown as Document);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What Express has handlers for, as the document would write it. */
/** WeChat's own, and what passes through to it, are not for the hub to describe. */
const OF_WECHAT = / (\/cgi-bin\/|\/apps\/\{app\}\/wechat\/)/;

function routesOf(app: Express): string[] {
  return app.router.stack
    .flatMap(({ route }) =>
      (route?.stack ?? []).map(
        ({ method }) => `${method.toUpperCase()} ${String(route?.path).replace(/:(\w+)/g, '{$1}')}`,
      ),
    )
    .filter((name) => !OF_WECHAT.test(name));
}

const EVERY = Object.keys(OPERATIONS);
const isGuarded = (name: string): boolean => reader.operation(name).security.length > 0;
const thatMayAnswer = (status: number): string[] => EVERY.filter((name) => reader.told(name, status));

/** A request made of the examples in the document alone, but for what a test changes in it. */
function requestFor(name: string, change: { app?: string; query?: string } = {}): [path: string, init: Asking] {
  const [method = '', pattern = ''] = name.split(' ');
  const { parameters, requestBody } = reader.operation(name);
  const told = parameters.map((parameter) => reader.resolved<Parameter>(parameter));
  const app = change.app ?? exampleIn(told.find((parameter) => parameter.in === 'path')?.schema);
  const required = told.filter((parameter) => parameter.in === 'query' && parameter.required);
  const query = [...required.map(({ name, schema }) => `${name}=${exampleIn(schema)}`), change.query ?? ''].join('&');
  const body = requestBody && reader.resolved(requestBody.content['application/json']?.schema ?? {});
  return [
    pattern.replace('{app}', app) + (query && `?${query}`),
    {
      method,
      ...(body && { body: JSON.stringify((body['examples'] as unknown[])[0]) }),
      ...(!isGuarded(name) && { token: null }),
    },
  ];
}

function exampleIn(schema: Schema = {}): string {
  const [first] = [schema['example'], schema['examples']].flat().filter((example) => typeof example === 'string');
  return first ?? '';
}

const ask = (name: string, change: { app?: string; query?: string } & Asking = {}, at = stage): Promise<Answer> => {
  const { app, query, ...init } = change;
  const [path, usual] = requestFor(name, { ...(app && { app }), ...(query && { query }) });
  return at.ask(path, { ...usual, ...init });
};

/** A request that `fetch` would not make: its head, with a few lines of its own instead of `Host`. */
async function askOverTheWire(name: string, lines: string): Promise<Answer> {
  const [path, { method = '' }] = requestFor(name);
  const [answer] = await exchange(
    stage.url,
    `${method} ${path} HTTP/1.1\r\nAuthorization: Bearer ${tokenFor()}\r\n${lines}`,
  );
  if (!answer) throw new Error(`${name} was not answered`);
  return { status: answer.status, headers: new Headers([...answer.headers]), text: answer.body };
}

/** How the values of one kind are rotated. */
const rotation = (name: string, value: string): string =>
  `${name.endsWith('ticket') ? 'rotate_ticket' : 'rotate_token'}=${value}`;

/** Holds an answer against the document, and remembers that it was seen. */
function expectAsTold(name: string, answer: Answer): void {
  const { status, headers, text } = answer;
  const told = reader.told(name, status);
  if (!told) throw new Error(`${name} answered ${status}, of which the document tells nothing: ${text}`);
  seenStatuses.add(`${status} ${name}`);
  expectHeadersAsTold(told, headers);
  const type = headers.get('content-type')?.replace(/;.*/, '');
  if (!told.content) {
    expect([text, type]).toEqual(['', undefined]);
    return;
  }
  expect(Object.keys(told.content)).toContain(type);
  const body: unknown = type?.endsWith('json') ? JSON.parse(text) : text;
  expect(reader.faultsOf(body, told.content[type ?? '']?.schema ?? {})).toEqual([]);
  if (type === PROBLEM) seenTypes.add(`${status} ${(body as { type: string }).type}`);
}

/** Those that the document knows are there exactly where it says so. */
function expectHeadersAsTold(told: Told, headers: Headers): void {
  const sent = Object.keys(reader.document.components.headers).filter((name) => headers.has(name));
  expect(sent.toSorted()).toEqual(Object.keys(told.headers).toSorted());
  for (const [name, header] of Object.entries(told.headers)) {
    const { schema } = reader.resolved<{ schema: Schema }>(header);
    const text = headers.get(name) ?? '';
    expect([name, reader.faultsOf(schema['type'] === 'integer' ? Number(text) : text, schema)]).toEqual([name, []]);
  }
}

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate({ ...reader.document });
    expect([result.errors ?? [], result.valid, validator.version]).toEqual([[], true, '3.1']);
  });

  it('has every route of the hub, and no other', () => {
    const told = Object.entries(reader.document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(told.toSorted()).toEqual(routes.toSorted());
    expect(EVERY.toSorted()).toEqual(routes.toSorted());
  });

  it('leaves out the metrics where they have a port of their own', async () => {
    const other = await setStage({ METRICS_PORT: '0' });
    const { paths } = (await other.ask('/openapi.json', { token: null })).json as unknown as Document;
    await other.strike();
    expect(Object.keys(paths)).toEqual(Object.keys(reader.document.paths).filter((path) => path !== '/metrics'));
  });

  it('is what the source says now, and no older build', async () => {
    expect(reader.document).toEqual(JSON.parse(JSON.stringify(await describeHub())));
  });

  it('is that of this version, under its licence', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(reader.document.info).toMatchObject({ title: 'wechat-token-hub', version, license: { name: 'MIT' } });
  });

  it('gives every operation a name of its own and a chapter that there is', () => {
    const ids = EVERY.map((name) => reader.operation(name).operationId);
    expect(new Set(ids).size).toBe(EVERY.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z]+$/);
    const chapters = reader.document.tags.map(({ name }) => name);
    expect(new Set(EVERY.flatMap((name) => reader.operation(name).tags))).toEqual(new Set(chapters));
  });

  it('refers to nothing that is not there, and keeps nothing that is not referred to', () => {
    const text = JSON.stringify(reader.document);
    const referred = new Set([...text.matchAll(/"#\/components\/(\w+\/[\w.-]+)"/g)].map(([, name]) => name));
    const { securitySchemes: _, ...components } = reader.document.components as unknown as Record<string, object>;
    const kept = Object.entries(components).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind}/${name}`));
    expect([...referred].toSorted()).toEqual(kept.toSorted());
  });
});

describe.each(EVERY)('%s', (name) => {
  it('answers a request made of the examples as told', async () => {
    const answer = await ask(name);
    expect(answer.status).toBe(200);
    expectAsTold(name, answer);
  });

  it('answers in each form that is told, and in the first unless another is wanted', async () => {
    const forms = Object.keys(reader.told(name, 200)?.content ?? {});
    for (const wanted of ['*/*', 'text/plain', 'application/json']) {
      const answer = await ask(name, { headers: { Accept: wanted } });
      const form = forms.includes(wanted) ? wanted : forms[0];
      expect([wanted, answer.headers.get('content-type')?.replace(/;.*/, '')]).toEqual([wanted, form]);
      expectAsTold(name, answer);
    }
  });

  it('lets in nobody without a JWT, if it says that it wants one', async () => {
    const answer = await ask(name, { token: null });
    expect(answer.status).toBe(isGuarded(name) ? 401 : 200);
    expectAsTold(name, answer);
  });

  it('lets in whoever has a right that it names, and nobody else', async () => {
    const roles = reader.operation(name).security.flatMap(({ jwt }) => jwt);
    for (const right of isGuarded(name) ? RIGHTS : []) {
      const token = tokenFor(`may-${right}`, KEY);
      const query = right === 'rotate' && roles.includes('rotate') ? rotation(name, 'of-yesterday') : '';
      const answer = await ask(name, { token, query });
      expect([right, answer.status]).toEqual([right, roles.includes(right) ? 200 : 403]);
      expectAsTold(name, answer);
    }
  });

  it('answers other methods as told', async () => {
    const answer = await ask(name, { method: 'DELETE' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, name.replace(/ .*/, '')]);
    expectAsTold(name, answer);
  });

  it('answers requests that are malformed or out of bounds as told', async () => {
    const [path, init] = requestFor(name);
    expectAsTold(name, await ask(name, { query: 'x=1' }));
    const long = await stage.ask(`${path}${path.includes('?') ? '&' : '?'}${'x'.repeat(2048)}`, init);
    expect(long.status).toBe(414);
    expectAsTold(name, long);
    const hostless = await askOverTheWire(name, 'Connection: close\r\n\r\n');
    const large = await askOverTheWire(name, `X-Large: ${'x'.repeat(40_000)}\r\n\r\n`);
    expect([hostless.status, large.status]).toEqual([400, 431]);
    for (const answer of [hostless, large]) expectAsTold(name, answer);
  });
});

describe('an answer', () => {
  it('is as told when the client has the version', async () => {
    for (const name of thatMayAnswer(304)) {
      const etag = (await ask(name)).headers.get('etag') ?? '';
      const answer = await ask(name, { headers: { 'If-None-Match': etag } });
      expect(answer.status).toBe(304);
      expectAsTold(name, answer);
    }
  });

  it('is as told when the client does not see the app, or nobody does', async () => {
    for (const name of thatMayAnswer(404)) {
      const answers = [await ask(name, { token: tokenFor('stranger', KEY) })];
      if (name.includes('{app}')) answers.push(await ask(name, { app: 'no-such-app' }));
      for (const answer of answers) {
        expect(answer.status).toBe(404);
        expectAsTold(name, answer);
      }
    }
  });

  it('is as told when there is no such ticket', async () => {
    for (const path of ['/ticket', '/apps/{app}/ticket']) {
      expectAsTold(`GET ${path}`, await stage.ask(`${path.replace('{app}', 'default')}?type=x`));
    }
  });

  it('is as told when the body is too large, compressed or no JSON', async () => {
    for (const name of thatMayAnswer(413)) {
      for (const [status, change] of [
        [400, { body: '{' }],
        [413, { body: 'x'.repeat(20_000) }],
        [415, { headers: { 'Content-Encoding': 'gzip' } }],
      ] as const) {
        const answer = await ask(name, change);
        expect(answer.status).toBe(status);
        expectAsTold(name, answer);
      }
    }
  });

  it('is as told when there were too many rotations', async () => {
    const rotating = EVERY.filter((name) => typesIn(reader.told(name, 429)).includes('/problems/rotation-budget'));
    for (const name of rotating) {
      let answer: Answer;
      do {
        const { text } = await ask(name, { headers: { Accept: 'text/plain' } });
        answer = await ask(name, { query: rotation(name, text) });
      } while (answer.status === 200);
      expect(answer.status).toBe(429);
      expectAsTold(name, answer);
    }
  });

  it('is as told when a client asks more than it may', async () => {
    const token = tokenFor('hasty', KEY);
    await ask('GET /apps', { token });
    for (const name of EVERY.filter(isGuarded)) {
      const answer = await ask(name, { token });
      expect([name, answer.status]).toEqual([name, 429]);
      expectAsTold(name, answer);
    }
  });

  it('is as told when the request takes too long to come', async () => {
    const late = EVERY.map(async (name) => [name, await askOverTheWire(name, '')] as const);
    for (const [name, answer] of await Promise.all(late)) {
      expect(answer.status).toBe(408);
      expectAsTold(name, answer);
    }
  });

  it.each<[what: string, status: number, fault: Fault]>([
    ['refuses', 502, { kind: 'errcode', errcode: 40164, errmsg: 'invalid ip 10.9.8.7' }],
    ['says nothing', 503, { kind: 'reset' }],
  ])('is as told when WeChat %s', async (_, status, fault) => {
    const faulty = await setFaultyStage(fault);
    for (const name of thatMayAnswer(502)) {
      const answer = await ask(name, {}, faulty);
      expect([name, answer.status]).toEqual([name, status]);
      expectAsTold(name, answer);
    }
    const { json } = await faulty.ask('/apps/warm/access-token');
    const token = json['access_token'] as string;
    expectAsTold(
      'POST /apps/{app}/access-token/report',
      await faulty.post('/apps/warm/access-token/report', { token }),
    );
    expectAsTold('GET /apps/{app}/access-token', await faulty.ask(`/apps/warm/access-token?rotate_token=${token}`));
    expectAsTold('GET /health/ready', await faulty.ask('/health/ready', { token: null }));
    await faulty.strike();
  });

  it('is as told when it has to be recorded, and cannot be', async () => {
    const place = mkdtempSync(join(folder, 'audit-'));
    const audit = { AUDIT_FILE: join(place, 'audit.jsonl'), AUDIT_KEY: newKey(), AUDIT_REQUIRED: 'true' };
    const audited = await setStage(audit);
    rmSync(place, { recursive: true });
    while ((await audited.ask('/health/ready', { token: null })).status === 200) await audited.ask('/access-token');
    for (const name of EVERY.filter((each) => isGuarded(each) && each !== 'GET /apps')) {
      const answer = await ask(name, {}, audited);
      expect([name, answer.status]).toEqual([name, 503]);
      expect(answer.text).toContain('/problems/audit-unavailable');
      expectAsTold(name, answer);
    }
    expectAsTold('GET /health/ready', await audited.ask('/health/ready', { token: null }));
    await audited.strike();
  });

  it('is as told when the hub goes away', async () => {
    const gone = stage.strike();
    const name = 'GET /ticket';
    const [ready, closing] = await Promise.all([
      ask('GET /health/ready'),
      stage.ask('/ticket?type=wx_card', requestFor(name)[1]),
    ]);
    await gone;
    expect([ready.status, closing.status]).toEqual([503, 503]);
    expectAsTold('GET /health/ready', ready);
    expectAsTold(name, closing);
  });
});

describe('what is told', () => {
  it('was seen in these tests, but for what nobody can provoke', () => {
    const told = EVERY.flatMap((name) =>
      Object.keys(reader.operation(name).responses).map((status) => `${status} ${name}`),
    );
    const unseen = told.filter((one) => !seenStatuses.has(one)).map((one) => one.replace(/ .*/, ''));
    expect(new Set(unseen)).toEqual(new Set(Object.keys(UNSEEN_STATUSES)));
  });

  it('has no kind of error that was not seen, but for those that nobody can provoke here', () => {
    const told = EVERY.flatMap((name) =>
      Object.keys(reader.operation(name).responses).flatMap((status) =>
        typesIn(reader.told(name, Number(status))).map((type) => `${status} ${type}`),
      ),
    );
    const unseen = told.filter((one) => !seenTypes.has(one));
    expect(new Set(unseen)).toEqual(new Set(Object.keys(UNSEEN_TYPES)));
  });
});

/** The kinds of error that an answer may be. */
function typesIn(told: Told | undefined): string[] {
  const schema = told?.content?.[PROBLEM]?.schema;
  return [...JSON.stringify(schema ?? '').matchAll(/"(\/problems\/[\w-]+)"/g)].map(([, type = '']) => type);
}
