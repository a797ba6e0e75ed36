import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type Configuration, type PlatformSchema, readConfiguration } from '../src/config/configuration.js';
import { ConfigurationError } from '../src/config/faults.js';
import type { Environment } from '../src/config/secret-reader.js';

/** An app as the reader of the configuration knows it, and what these tests look at besides. */
export interface App {
  readonly identity: string;
  readonly secret: string;
}

/** Two platforms, of which the reader knows no more than their names and schemas. */
const PLATFORMS: readonly PlatformSchema<App>[] = [
  {
    name: 'official-account',
    schema: (secret) =>
      z
        .strictObject({
          appid: z.string().regex(/^\w+$/, 'must be an appid'),
          secret,
          endpoint: z.enum(['classic', 'stable'], 'must be classic or stable').default('classic'),
        })
        .transform((app) => ({ identity: `${app.appid}/${app.endpoint}`, secret: app.secret.reveal() })),
  },
  {
    name: 'wecom',
    schema: (secret) =>
      z
        .strictObject({ corpid: z.string(), agentid: z.int(), secret })
        .transform((app) => ({ identity: `${app.corpid}/${app.agentid}`, secret: app.secret.reveal() })),
  },
];

/** The account that these tests configure. */
export const APPID = 'wx0123456789abcdef';
/** Enough for a hub to start: one app, one client. */
export const ENOUGH = { APPID, APPSECRET: 'app-secret', JWT_KEY_web: 'k'.repeat(32) };
/** Enough, save that a configuration file brings the apps. */
export const CLIENT = { JWT_KEY_web: 'k'.repeat(32) };

/** A folder of each test's own. */
export let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'configuration-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Reads an environment. */
export function read(environment: Environment): Configuration<App> {
  return readConfiguration(environment, PLATFORMS);
}

/** Writes a file into the folder of the test; its path. */
export function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** Reads a configuration file, with the environment that a test adds. */
export function readFile(text: string, environment: Environment = CLIENT): Configuration<App> {
  return read({ HUB_CONFIG: file('hub.yaml', text), ...environment });
}

/** The report on a configuration that has to be refused. */
export function refusal(act: () => unknown): ConfigurationError {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** What is wrong with a configuration that has to be refused. */
export function faultsOf(act: () => unknown): readonly string[] {
  return refusal(act).faults;
}
