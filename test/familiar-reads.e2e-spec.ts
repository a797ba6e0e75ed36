import { jest } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClientGuard } from '../src/auth/client.guard.js';
import { newKey } from '../src/config/random-keys.js';
import { Stage, tokenFor } from './hub.fixture.js';
import { exchangeOne, lasting } from './wire.fixture.js';

const SIGNER_KEY = 'signer-key-0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f';
const STRANGER_KEY = 'stranger-key-1c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f';
const CLIENTS = `
clients:
  signer: { key: { env: SIGNER_KEY }, apps: [default], may: [sign] }
  stranger: { key: { env: STRANGER_KEY }, apps: [], may: [read] }
`;
const TARGETS = ['/access-token?', '/ticket?type=jsapi', '/apps/default/access-token?', '/apps/default/ticket?type=2'];

const bearer = (...token: Parameters<typeof tokenFor>): string => `Authorization: Bearer ${tokenFor(...token)}`;
/** Ways to ask for the same target, of which none may end otherwise because somebody asked for it before. */
const WAYS: readonly (readonly [what: string, method: string, ...lines: string[]])[] = [
  ['as a client that may', 'GET', bearer()],
  ['with an id', 'GET', bearer(), 'X-Request-Id: mine'],
  ['for JSON', 'GET', bearer(), 'Accept: application/json'],
  ['for text', 'GET', bearer(), 'Accept: application/json;q=0.1, text/plain'],
  ['for what the client has', 'GET', bearer(), 'If-None-Match: *'],
  ['without a token', 'GET'],
  ['with two', 'GET', bearer(), bearer()],
  ['with one of another key', 'GET', bearer('web', STRANGER_KEY)],
  ['with one that is not meant for hubs', 'GET', bearer('web', undefined, { aud: 'another' })],
  ['with one of nobody', 'GET', bearer('nobody')],
  ['as a client that may not read', 'GET', bearer('signer', SIGNER_KEY)],
  ['as one that does not see the app', 'GET', bearer('stranger', STRANGER_KEY)],
  ['by another method', 'DELETE', bearer()],
  ['with HEAD', 'HEAD', bearer()],
  ['with a body', 'GET', bearer(), 'Content-Length: 1'],
  ['for two hosts', 'GET', bearer(), 'Host: other'],
];

let stage: Stage;
let audit: string;
beforeEach(async () => {
  stage = await Stage.set();
  audit = join(stage.dataDir, 'audit.jsonl');
  const hubFile = join(stage.dataDir, 'hub.yaml');
  writeFileSync(hubFile, CLIENTS);
  await stage.restart({ HUB_CONFIG: hubFile, SIGNER_KEY, STRANGER_KEY, AUDIT_FILE: audit, AUDIT_KEY: newKey() });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await stage.strike();
});

/** What is the same of an answer whenever it is asked for: lives go by. */
async function answerTo(target: string, [, method, ...lines]: (typeof WAYS)[number]): Promise<string> {
  const reply = await exchangeOne(stage.url, `${method} ${target} HTTP/1.1`, lines);
  return lasting(reply).replace(/"(expires_in|expires_at|refresh_after)":("[^"]*"|\d+)/g, '$1');
}

/** Members of a record that are its own. */
const OWN = new Set(['seq', 'time', 'request', 'prev', 'mac', 'hash']);

/** The records, but for what is another one each time. */
function records(): unknown[] {
  const lines = readFileSync(audit, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const members = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return Object.fromEntries(members.filter(([member]) => !OWN.has(member)));
  });
}

/** What is counted of requests, by labels. */
async function counts(): Promise<ReadonlyMap<string, number>> {
  const { text } = await stage.ask('/metrics', { token: null });
  const lines = text.matchAll(/^wechat_token_hub_http_requests_total\{(.*)\} (\d+)$/gm);
  return new Map([...lines].map(([, labels = '', count]) => [labels, Number(count)]));
}

/** The labels of what was counted in between. */
async function countedBy(act: () => Promise<void>): Promise<string[]> {
  const before = await counts();
  await act();
  const after = [...(await counts())].filter(([labels]) => !labels.includes('"/metrics"'));
  return after.filter(([labels, count]) => count > (before.get(labels) ?? 0)).map(([labels]) => labels);
}

describe('a target that was read before', () => {
  it('is answered without the framework', async () => {
    const guard = jest.spyOn(ClientGuard.prototype, 'canActivate');
    for (let i = 0; i < 2; i += 1) {
      for (const target of TARGETS) expect((await stage.ask(target)).status).toBe(200);
      expect(guard).toHaveBeenCalledTimes(TARGETS.length);
    }
  });

  it.each(WAYS)('is answered, recorded and counted as the first time: asked %s', async (what, method, ...lines) => {
    for (const target of TARGETS) await stage.ask(target);
    const told: unknown[][] = [[], []];
    for (const written of TARGETS) {
      // The same, written in a way that nobody has asked for.
      const target = `${written}&`;
      for (const tell of told) {
        let answer: unknown;
        const { length } = records();
        const counted = await countedBy(async () => {
          answer = await answerTo(target, [what, method, ...lines]);
        });
        tell.push({ answer, counted, recorded: records().slice(length) });
        await stage.ask(target);
      }
    }
    expect(told[1]).toEqual(told[0]);
  });

  it('may be rotated all the same', async () => {
    const { text } = await stage.ask('/access-token');
    expect((await stage.ask('/access-token')).text).toBe(text);
    const other = (await stage.ask(`/access-token?rotate_token=${text}`)).text;
    expect(other).not.toBe(text);
    expect((await stage.ask('/access-token')).text).toBe(other);
    // The same once more replaces nothing.
    expect((await stage.ask(`/access-token?rotate_token=${text}`)).text).toBe(other);
  });
});
