import { Logger } from '@nestjs/common';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Audit, AuditUnavailable } from '../audit/audit.js';
import type { Asking } from '../auth/client.guard.js';
import { Forbidden, UnknownApp } from '../auth/rights.js';
import { AllowanceSpent } from '../credentials/allowance.js';
import { NotTheCredential } from '../credentials/failure.js';
import { Closed, Unavailable } from '../credentials/unavailable.js';
import { TooManyRequests } from '../http/client-budgets.js';
import { type Dialect, WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { DialectFilter } from './dialect.filter.js';
import { RefusedLines } from '../http/refused-lines.js';
import { Saying } from './saying.js';

const SECRET = 'a-secret-that-errors-quote';
let logged: string[] = [];

beforeEach(() => {
  logged = [];
  const note = (...words: unknown[]): void => {
    logged.push(JSON.stringify(words));
  };
  Logger.overrideLogger({ log: note, error: note, warn: note });
});
afterEach(() => {
  Logger.overrideLogger(false);
});

/** What an SDK hears of an error. */
async function heardOf(error: unknown, path = '/cgi-bin/user/get'): Promise<{ status: number; text: string }> {
  const lines = new RefusedLines({ now: () => 0, tell: () => undefined });
  const filter = new DialectFilter(await Audit.open(undefined, { tell: () => undefined, ...NOWHERE }), lines);
  const server = createServer((request, response) => {
    const asking = Object.assign(request, { requestId: 'the-id' }) as unknown as Asking;
    void filter.answer(error, asking, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    return { status: answer.status, text: await answer.text() };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const NOWHERE = { sourceAddressOf: () => '', sourceNetworkOf: () => '' };
const gaveNothing = (cause: unknown): Unavailable => new Unavailable(cause, 0);
const refusal = (errcode: number, dialect: Dialect = 'wechat'): WechatRefusal =>
  new WechatRefusal(dialect, errcode, 'in its own words', false);

describe('an SDK is told of', () => {
  it.each<[string, unknown, number]>([
    ['what WeChat would say itself', new Saying('wechat', 'wrongSecret'), 40125],
    ['an app that it does not see', new UnknownApp(), 48001],
    ['what it may not', new Forbidden(), 48001],
    ['its budget', new TooManyRequests(0), 45011],
    ['the budget of the app', new AllowanceSpent(0), 45009],
    ['a quota of WeChat’s', gaveNothing(refusal(45009)), 45009],
    ['a list of addresses that the hub is not on', gaveNothing(refusal(40164)), 40164],
    ['an AppSecret that is wrong, which is not the SDK’s', gaveNothing(refusal(40125)), -1],
    ['an appid that is wrong, which is not the SDK’s', gaveNothing(refusal(40013)), -1],
    ['two tokens that were refused', gaveNothing(new NotTheCredential(refusal(40001))), -1],
    ['a WeChat that is away', gaveNothing(new WechatUnreachable('ECONNRESET', true)), -1],
    ['an answer that is none', gaveNothing(new WechatNonsense('it is not JSON')), -1],
    ['a call that got no answer', new WechatUnreachable('ETIMEDOUT', true), -1],
    ['a hub that goes away', new Closed(), -1],
    ['an audit that is away', new AuditUnavailable(), -1],
    ['what nobody foresaw', new TypeError(SECRET), -1],
    ['what is no error at all', SECRET, -1],
  ])('%s, with status 200 and where to find more', async (_, error, errcode) => {
    const { status, text } = await heardOf(error);
    const told = JSON.parse(text) as { errcode: number; errmsg: string };
    expect([status, told.errcode]).toEqual([200, errcode]);
    expect(told.errmsg).toMatch(/^.+, hub request id: the-id$/);
    expect(logged.join('\n')).toContain('the-id');
    expect(text + logged.join('\n')).not.toContain(SECRET);
  });

  it('one thing in the words of the API that it speaks to', async () => {
    expect((await heardOf(new Closed(), '/cgi-bin/user/get')).text).toContain('"system error,');
    expect((await heardOf(new Closed(), '/wecom/cgi-bin/user/get')).text).toContain('"system busy,');
  });
});
