#!/usr/bin/env node
import { HeldCredential } from '../held-credential.js';
import { HubApi } from '../hub-api.js';
import { Keeper, type News } from './keeper.js';
import { BadSettings, readSettings, type Settings } from './settings.js';
import { TokenFile } from './token-file.js';

const USAGE = `usage: WECHAT_HUB_URL=http://hub:8567 wechat-token-file --file PATH [--app NAME] [--kind ticket --type TYPE]
who asks: WECHAT_HUB_TOKEN_FILE, or WECHAT_HUB_KID with WECHAT_HUB_KEY or WECHAT_HUB_KEY_FILE
`;

/** Of sysexits.h: the configuration is wrong. */
const EX_CONFIG = 78;

function settingsOrExit(): Settings {
  try {
    return readSettings(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof BadSettings)) throw error;
    process.stderr.write(`${error.message}\n${USAGE}`);
    // At once: nothing of what comes after it can be done without the settings.
    process.exit(EX_CONFIG);
  }
}

if (process.argv.includes('--help')) {
  process.stdout.write(USAGE);
  // Who asks how it is used has not configured it yet.
  process.exit(0);
}

const { url, jwt, app, kind, file } = settingsOrExit();
const name = kind.kind === 'ticket' ? `ticket/${kind.type}` : kind.kind;
const tell = (news: News | { readonly event: 'started' | 'stopped' }): void => {
  const level = news.event === 'failing' || news.event === 'removed' ? 'warn' : 'info';
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, app, kind: name, ...news })}\n`);
};
const now = (): number => performance.now();
const api = new HubApi(url, app, jwt, fetch);
const credential = new HeldCredential((held) => api.read(kind, held), now);
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());

tell({ event: 'started' });
await new Keeper(kind, credential, new TokenFile(file), now, tell).run(stop.signal);
tell({ event: 'stopped' });
// A request that the hub has not answered yet would hold it up.
process.exit(0);
