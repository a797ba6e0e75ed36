import { IssuedSecrets } from '../auth/issued-secrets.js';
import type { Client } from '../config/clients.js';
import { digestOf } from '../config/issued-secret.js';
import { Secret } from '../config/secret.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import type { Credential } from '../credentials/policy.js';
import type { Dialect } from '../wechat/wechat.error.js';
import { Callers, type Introduction, type SecretCaller } from './callers.js';
import { Saying } from './saying.js';
import { VirtualTokens } from './virtual-tokens.js';

const SHOP = { appid: 'wxshop', secret: 'wths_shop' };
const CRM = { appid: 'wwcrm', secret: 'wths_crm' };
const LIFE_MS = 7_200_000;

function client(name: string, secrets: Readonly<Record<string, string>>): Client {
  const digests = Object.entries(secrets).map(([app, secret]) => [app, [digestOf(secret)]] as const);
  return { name, keys: [], apps: '*', may: new Set(['proxy', 'read']), secrets: new Map(digests) };
}

/** As much of an app as callers look at. */
function app(appid: string, dialect: Dialect, token?: string): HostedApp {
  const current = token === undefined ? undefined : { value: token };
  return { appid, dialect, secret: new Secret(`AppSecret of ${appid}`), accessToken: { current } } as HostedApp;
}

function hub() {
  const state = { now: 1_000_000 };
  const clients = [client('legacy', { shop: SHOP.secret, crm: CRM.secret }), client('other', { shop: 'wths_other' })];
  const all = new Map([
    ['shop', app(SHOP.appid, 'wechat', '70_shop')],
    ['crm', app(CRM.appid, 'wecom', 'crm-token')],
    ['empty', app('wxempty', 'wechat')],
  ]);
  const configuration = { current: { clients: new Map(clients.map((one) => [one.name, one])) } };
  const secrets = new IssuedSecrets(configuration);
  const virtualTokens = new VirtualTokens({
    secrets,
    appSecret: (name) => all.get(name)?.secret,
    now: () => state.now,
  });
  const clock = { now: () => state.now, drift: () => 0 };
  const callers = new Callers({ all, clock, app: (name) => all.get(name) }, secrets, virtualTokens);
  return { state, all, callers, configuration };
}

/** What somebody is told, instead of who he is. */
function said(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Saying) return `${error.errcode} ${error.kind}`;
    throw error;
  }
  return 'nothing';
}

const shop = (callers: Callers): SecretCaller => callers.bySecret('wechat', SHOP);
const credential = (value: string, expiresAt: number): Credential => ({ value, issuedAt: 0, expiresAt, version: 1 });

describe('who shows a secret', () => {
  it('is the client that it was issued to, for the app that it was issued for', () => {
    const { callers, all } = hub();
    expect(shop(callers)).toMatchObject({ name: 'shop', app: all.get('shop'), digest: digestOf(SHOP.secret) });
    expect(callers.bySecret('wecom', CRM)).toMatchObject({ name: 'crm', client: { name: 'legacy' } });
  });

  it.each<[string, Dialect, Introduction]>([
    ['41002 noAppid', 'wechat', { ...SHOP, appid: undefined }],
    ['40013 unknownAppid', 'wechat', { ...SHOP, appid: 'wxnobody' }],
    ['40013 unknownAppid', 'wecom', SHOP],
    ['40013 unknownAppid', 'wechat', CRM],
    ['41004 noSecret', 'wechat', { ...SHOP, secret: '' }],
    ['40002 wrongGrant', 'wechat', { ...SHOP, grant: { type: 'password', expected: 'client_credential' } }],
    ['40125 wrongSecret', 'wechat', { ...SHOP, secret: CRM.secret }],
    ['40125 wrongSecret', 'wechat', { appid: 'wxempty', secret: SHOP.secret }],
    ['40125 wrongSecret', 'wechat', { ...SHOP, secret: `AppSecret of ${SHOP.appid}` }],
    ['40001 wrongSecret', 'wecom', { ...CRM, secret: SHOP.secret }],
  ])('else hears %s, the first fault that WeChat would find', (expected, dialect, introduction) => {
    expect(said(() => hub().callers.bySecret(dialect, introduction))).toBe(expected);
  });
});

describe('who shows a token', () => {
  it('is known by a virtual one, until it expires', () => {
    const { callers, state } = hub();
    const token = callers.virtualTokenOf(shop(callers));
    expect(callers.byToken('wechat', token)).toMatchObject({
      name: 'shop',
      client: { name: 'legacy' },
      isVirtual: true,
    });
    state.now += 3 * LIFE_MS;
    expect(said(() => callers.byToken('wechat', token))).toBe('42001 expiredToken');
  });

  it('is the client that was given WeChat’s own, as long as that lives', () => {
    const { callers, state } = hub();
    callers.remember(shop(callers), credential('70_older', state.now + LIFE_MS));
    expect(callers.byToken('wechat', '70_older')).toMatchObject({ client: { name: 'legacy' }, isVirtual: false });
    state.now += LIFE_MS;
    callers.remember(shop(callers), credential('70_newer', state.now + LIFE_MS));
    expect(said(() => callers.byToken('wechat', '70_older'))).toBe('40001 unknownToken');
  });

  it('is, by a token that it was given before, what the present configuration makes of it', () => {
    const { callers, state, configuration } = hub();
    callers.remember(shop(callers), credential('70_older', state.now + LIFE_MS));
    const present = client('legacy', { shop: SHOP.secret });
    configuration.current = { clients: new Map([['legacy', present]]) };
    expect(callers.byToken('wechat', '70_older').client).toBe(present);
    configuration.current = { clients: new Map() };
    expect(callers.byToken('wechat', '70_older')).not.toHaveProperty('client');
  });

  it('is nobody in particular if several were given it', () => {
    const { callers, state } = hub();
    const other = callers.bySecret('wechat', { appid: SHOP.appid, secret: 'wths_other' });
    for (const caller of [shop(callers), other, other]) {
      callers.remember(caller, credential('70_shop', state.now + LIFE_MS));
    }
    expect(callers.byToken('wechat', '70_shop')).not.toHaveProperty('client');
  });

  it('may show the present token of an app that another hub gave it, a second after it is there', () => {
    const { callers, all, state } = hub();
    expect(callers.byToken('wechat', '70_shop')).toMatchObject({ name: 'shop', isVirtual: false });
    all.set('empty', app('wxempty', 'wechat', '70_filled'));
    expect(said(() => callers.byToken('wechat', '70_filled'))).toBe('40001 unknownToken');
    state.now += 1000;
    expect(callers.byToken('wechat', '70_filled')).toMatchObject({ name: 'empty' });
  });

  it.each<[string, Dialect, string | undefined]>([
    ['41001 noToken', 'wechat', undefined],
    ['41001 noToken', 'wecom', ''],
    ['40001 unknownToken', 'wechat', 'nobody'],
    ['40014 unknownToken', 'wecom', 'nobody'],
    ['40001 unknownToken', 'wechat', SHOP.secret],
  ])('else hears %s', (expected, dialect, token) => {
    expect(said(() => hub().callers.byToken(dialect, token))).toBe(expected);
  });
});
