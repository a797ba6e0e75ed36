// Shows the hub at work without a WeChat account: starts the simulator and the built hub against it, and says what to try.
import jwt from 'jsonwebtoken';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf, issueSecret } from '../dist/config/issued-secret.js';

const APPID = 'wx0000000000000001';
const APPSECRET = randomBytes(16).toString('hex');
const KEY = randomBytes(32).toString('hex');
const SDK_SECRET = issueSecret();
const SDK_KEY = randomBytes(32).toString('hex');
const folder = mkdtempSync(join(tmpdir(), 'wechat-token-hub-demo-'));
const children = [];

/** Starts a built program and waits until it says that it listens. */
async function start(name, script, args, env, listening) {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: Ctrl-C reaches this script alone, which then stops both in order.
    detached: true,
  });
  children.push(child);
  let said = '';
  const found = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        said += chunk;
        const match = listening.exec(said);
        if (match) resolve(match[1]);
      });
    }
    child.once('exit', () => reject(new Error(`the ${name} did not start:\n${said}`)));
  });
  const address = await found;
  child.stdout.on('data', (chunk) => process.stdout.write(chunk.replace(/^(?=.)/gm, `  [${name}] `)));
  child.once('exit', () => void stop());
  return address;
}

/** The wanted port if it is free, else any. */
async function portOr(wanted) {
  const probe = createServer();
  const port = await new Promise((resolve) => {
    probe.once('error', () => resolve(0)).listen(wanted, () => resolve(probe.address().port));
  });
  probe.close();
  return port;
}

let stopping;
function stop() {
  stopping ??= (async () => {
    for (const child of children.toReversed()) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
    }
    rmSync(folder, { recursive: true, force: true });
    // Ended on purpose: no failure, though a start that is still under way fails by it.
    process.exit(0);
  })();
  return stopping;
}
process.on('SIGINT', () => void stop());
process.on('SIGTERM', () => void stop());

/** A client that calls through the hub, by a secret that the hub issued, or by its JWT. */
const HUB_FILE = {
  clients: {
    sdk: {
      key: { env: 'SDK_KEY' },
      secrets: { default: [digestOf(SDK_SECRET)] },
      apps: ['default'],
      may: ['proxy'],
    },
  },
};

try {
  const configuration = join(folder, 'hub.json');
  writeFileSync(configuration, JSON.stringify(HUB_FILE));
  const simulator = await start(
    'simulator',
    'build/simulator/main.js',
    [],
    { SIMULATOR_SECRET: APPSECRET },
    /listening on (http:\S+)/,
  );
  const port = await start(
    'hub',
    'dist/main.js',
    [],
    {
      PORT: String(await portOr(Number(process.env.PORT ?? 8567))),
      WECHAT_API_ROOT: simulator,
      WECOM_API_ROOT: simulator,
      APPID,
      APPSECRET,
      JWT_KEY_demo: KEY,
      SDK_KEY,
      HUB_CONFIG: configuration,
      DATA_DIR: join(folder, 'data'),
    },
    /Listening on port (\d+)/,
  );
  const hub = `http://127.0.0.1:${port}`;
  const tokenOf = (kid, key) => jwt.sign({ aud: 'wechat-token-hub' }, key, { keyid: kid, expiresIn: '12h' });
  const token = tokenOf('demo', KEY);
  const curl = `curl -H 'Authorization: Bearer ${token}'`;
  process.stdout.write(`
The hub runs on ${hub}, against a simulated WeChat on ${simulator}. In another terminal:

  # The access token, as the client "demo", whose JWT is good for twelve hours; and how long the token lives.
  ${curl} ${hub}/access-token
  ${curl} ${hub}/apps/default/access-token

  # A ticket for the JS-SDK, and a page signed with it.
  ${curl} '${hub}/ticket?type=jsapi'
  ${curl} -d '{"url":"https://example.com/page"}' ${hub}/apps/default/jssdk-config

  # Let WeChat kill the token, tell the hub, and get another.
  AUTH='Authorization: Bearer ${token}'
  OLD=$(curl -s -H "$AUTH" ${hub}/access-token)
  curl -d "{\\"value\\":\\"$OLD\\"}" ${simulator}/simulator/kill
  curl -H "$AUTH" -d "{\\"token\\":\\"$OLD\\"}" ${hub}/apps/default/access-token/report

  # An SDK in WeChat's place: its base URL is ${hub}, its appid ${APPID},
  # and its secret one that the hub issued to the client "sdk". What it does then:
  SDK_TOKEN=$(curl -s '${hub}/cgi-bin/token?grant_type=client_credential&appid=${APPID}&secret=${SDK_SECRET}' | cut -d '"' -f 4)
  curl "${hub}/cgi-bin/user/get?access_token=$SDK_TOKEN"

  # The same call of a program that has a JWT, and neither token nor secret.
  curl -H 'Authorization: Bearer ${tokenOf('sdk', SDK_KEY)}' ${hub}/apps/default/wechat/cgi-bin/user/get

  # How the hub is, and how often it had to ask WeChat.
  curl ${hub}/health/ready
  curl ${simulator}/simulator/calls

Ctrl-C stops both. What the hub says from now on:

`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
  for (const child of children) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
