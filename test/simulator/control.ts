import { Account, accountDefaults } from './account.js';
import { type Inquiry } from './answer.js';
import { isMovable } from './clock.js';
import { Corp, corpDefaults } from './corp.js';
import { faultKinds, type Fault } from './faults.js';
import { worldDefaults, type NewAccount, type NewCorp, type SignatureClaim, type World } from './world.js';

/** What the control API answers, to be sent as JSON. */
export interface ControlAnswer {
  readonly status: number;
  readonly json: unknown;
}

/** Where the control API begins; nothing of WeChat lives there. */
export const controlPrefix = '/simulator/';

type Fields = Readonly<Record<string, unknown>>;

const done: ControlAnswer = { status: 200, json: { ok: true } };

/** Serves whoever drives a simulator that runs as a process of its own: what the methods of `World` do, over HTTP. */
export function control(world: World, inquiry: Inquiry): ControlAnswer {
  const [resource = '', id = ''] = inquiry.path.slice(controlPrefix.length).split('/');
  try {
    return routes[`${inquiry.method} ${resource}`]?.(world, inquiry, id) ?? complaint(404, 'no such control');
  } catch (error) {
    return complaint(400, error instanceof Error ? error.message : 'bad request');
  }
}

const routes: Readonly<Record<string, (world: World, inquiry: Inquiry, id: string) => ControlAnswer>> = {
  'GET verdict': (world, inquiry) => ({ status: 200, json: world.verdict(inquiry.param('value')) }),

  'POST verdict': (world, { json }) => ({ status: 200, json: world.verdict(text(json, 'value')) }),

  'POST kill': (world, { json }) => {
    const errcode = typeof json['errcode'] === 'number' ? json['errcode'] : 40001;
    if (typeof json['appid'] === 'string')
      return { status: 200, json: { killed: world.killAll(json['appid'], errcode) } };
    const issuerUnaware = json['issuerUnaware'] === true;
    const found = world.kill(text(json, 'value'), errcode, { issuerUnaware });
    return found ? { status: 200, json: { killed: 1 } } : complaint(404, 'never issued');
  },

  'POST mint-elsewhere': (world, { json }) => ({
    status: 200,
    json: { access_token: world.mintElsewhere(text(json, 'appid')) },
  }),

  'GET clock': (world) => ({ status: 200, json: { now: world.clock.now() } }),

  'POST clock': (world, { json }) => {
    const seconds = json['advance'];
    if (typeof seconds !== 'number') return complaint(400, 'advance: a number of seconds is wanted');
    if (!isMovable(world.clock)) return complaint(409, 'this clock cannot be advanced');
    world.clock.advance(seconds * 1000);
    return { status: 200, json: { now: world.clock.now() } };
  },

  'POST faults': (world, { json }) => {
    if (!faultKinds.some((kind) => kind === json['kind'])) {
      return complaint(400, `kind: one of ${faultKinds.join(', ')} is wanted`);
    }
    world.faults.add(json as unknown as Fault);
    return done;
  },

  'DELETE faults': (world) => {
    world.faults.clear();
    return done;
  },

  'POST outage': (world, { json }) => {
    world.outage(text(json, 'host'), json['down'] !== false);
    return done;
  },

  'POST media': (world, { json }) => {
    const bytes = json['bytes'];
    if (typeof bytes !== 'number') return complaint(400, 'bytes: a number is wanted');
    return { status: 201, json: { media_id: world.media.add(bytes) } };
  },

  'GET calls': (world, inquiry) => {
    const path = inquiry.param('path');
    const appid = inquiry.query.get('appid') ?? undefined;
    const calls = world.calls
      .filter((call) => path === '' || call.path === path)
      .filter((call) => appid === undefined || call.appid === appid);
    const counts: Record<string, number> = {};
    for (const call of calls) counts[call.path] ??= world.count(call.path, appid);
    return { status: 200, json: { counts, calls } };
  },

  'DELETE calls': (world) => {
    world.clearCalls();
    return done;
  },

  'GET mints': (world, inquiry) => ({ status: 200, json: { mints: world.mints(inquiry.param('appid')) } }),

  'POST accounts': (world, { json }) => {
    addAccount(world, json);
    return { status: 201, json: { ok: true } };
  },

  'PATCH accounts': (world, { json }, id) => {
    const owner = world.find(id);
    if (owner instanceof Account) owner.reconfigure(known({ ...accountDefaults, secret: '', kind: '' }, json));
    else if (owner instanceof Corp) owner.reconfigure(known({ ...corpDefaults, agents: [] }, json));
    else return complaint(404, 'no such account');
    return done;
  },

  'POST confirmations': (world, { json }) => {
    const account = world.find(text(json, 'appid'));
    if (!(account instanceof Account)) return complaint(404, 'no such account');
    account.confirmAddress(text(json, 'ip'), json['approved'] !== false);
    return done;
  },

  'PATCH world': (world, { json }) => {
    world.reconfigure(known(worldDefaults, json));
    return done;
  },

  'POST verify-signature': (world, { json }) => {
    text(json, 'appid');
    text(json, 'signature');
    return { status: 200, json: world.verifySignature(json as unknown as SignatureClaim) };
  },
};

/** Adds the account or corp that some JSON describes; a corp is told by its `corpid`. */
export function addAccount(world: World, json: Fields): void {
  if ('corpid' in json) {
    text(json, 'corpid');
    if (!Array.isArray(json['agents'])) throw new Error('agents: a list is wanted');
    world.corp(known({ ...corpDefaults, corpid: '', agents: [] }, json) as unknown as NewCorp);
    return;
  }
  text(json, 'appid');
  text(json, 'secret');
  if (json['kind'] !== 'official-account' && json['kind'] !== 'mini-program') {
    throw new Error('kind: official-account or mini-program is wanted');
  }
  world.account(known({ ...accountDefaults, appid: '', secret: '', kind: '' }, json) as unknown as NewAccount);
}

/** Lets a misspelt switch or a value of another type be noticed, rather than silently change nothing. */
function known(example: object, json: Fields): Fields {
  const expected = new Map<string, unknown>(Object.entries(example));
  for (const [name, value] of Object.entries(json)) {
    if (!expected.has(name)) throw new Error(`${name}: there is no such switch`);
    const model = expected.get(name);
    // `null` is the default of switches of several types and tells nothing about them.
    if (model !== null && value !== null && typeof model !== typeof value) {
      throw new Error(`${name}: a ${typeof model} is wanted`);
    }
  }
  return json;
}

function text(json: Fields, name: string): string {
  const value = json[name];
  if (typeof value !== 'string' || value === '') throw new Error(`${name}: a text is wanted`);
  return value;
}

function complaint(status: number, error: string): ControlAnswer {
  return { status, json: { ok: false, error } };
}
