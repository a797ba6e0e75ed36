import { WechatError, WechatNonsense, WechatRefusal, WechatUnreachable } from '../wechat/wechat.error.js';
import { AllowanceSpent } from './allowance.js';
import { NotTheCredential } from './failure.js';
import type { HubEvent } from './journal.js';
import { type StoreFault, StoreUnreachable, WRITE_FAULTS } from './store/store.js';

/** How much a line of the log matters, in the words of Nest's loggers. */
type Level = 'debug' | 'log' | 'warn' | 'error';

/** What hubs do that cannot ask the store whose turn it is. */
const MEANWHILE =
  'What is in memory is served on; nothing new is asked of a classic endpoint, because another hub may be asking.';

/** A line of the log: `msg` for people, the rest for machines. */
export type Line = Readonly<Record<string, unknown>> & { readonly event: string; readonly msg: string };

/** Says what happened, what it means and what happens next, in a line for the operator's log; never a value. */
export function lineOf(event: HubEvent, now: number): { level: Level; line: Line } {
  const { level, text } = tellInWords(event, now);
  const { error, ...fields } = { error: undefined, ...event };
  const refusal = refusalIn(error);
  return {
    level,
    line: {
      ...fields,
      ...(refusal && { errcode: refusal.errcode, ...(refusal.rid !== undefined && { rid: refusal.rid }) }),
      msg: text,
    },
  };
}

function tellInWords(event: HubEvent, now: number): { level: Level; text: string } {
  switch (event.event) {
    case 'minted':
      return {
        level: 'log',
        text: `${nameOf(event)}: new value, version ${event.version}, for ${event.seconds} s (it was ${event.flaw}).`,
      };
    case 'unchanged':
      return {
        level: 'log',
        text: `${nameOf(event)}: WeChat gave the same value again, version ${event.version}, good for ${event.seconds} s yet; asking again before that.`,
      };
    case 'failed':
      return {
        level: event.usable ? 'warn' : 'error',
        text: `${nameOf(event)}: ${explain(event.error)} ${prospectOf(event, now)}`,
      };
    case 'failure-heard':
      return {
        level: event.usable ? 'warn' : 'error',
        text: `${nameOf(event)}: ${event.by === undefined ? 'another hub' : `the hub ${event.by}`} has met this: ${explain(event.error)} ${prospectOf(event, now)}${
          event.error instanceof WechatError && event.error.remedy === 'person'
            ? ' Where other hubs get values, see what is different at that one: its secret, or its address.'
            : ''
        }`,
      };
    case 'failure-over':
      return { level: 'log', text: `${nameOf(event)}: another hub could ask WeChat again.` };
    case 'refused-by-wechat':
      return {
        level: 'warn',
        text: `${nameOf(event)}: WeChat refuses version ${event.version}, which this hub did not replace. Somebody else asks for tokens of this account (another hub, an SDK with the AppSecret, a test system): find and stop it, or they end each other's tokens. Getting a new one now.`,
      };
    case 'waited':
      return {
        level: event.inVain ? 'log' : 'debug',
        text: `${nameOf(event)}: waited ${Math.round(event.ms)} ms for another hub, ${event.inVain ? 'which has not got a value; asking WeChat' : 'and got what it got'}.`,
      };
    case 'overtaken':
      return {
        level: 'warn',
        text: `${nameOf(event)}: this hub was too slow (stopped? overloaded?), and another may have asked WeChat meanwhile. What it got is not taken for certain; looking again.`,
      };
    case 'unsaved':
      return {
        level: 'error',
        text: `${nameOf(event)}: the value is served but not stored (${messageOf(event.error)}). A restart now would cost a call to WeChat. Make room or mend the folder; trying again by itself.`,
      };
    case 'saved-again':
      return { level: 'log', text: `${nameOf(event)}: stored again.` };
    case 'asked-wechat':
      return {
        level: 'debug',
        text: `${event.app}: asked WeChat at ${event.api}; ${event.error === undefined ? 'it answered' : messageOf(event.error)}.`,
      };
    case 'reported':
      return {
        level: 'log',
        text: `${event.client} reported the access token of ${event.app} as refused (${event.errcode ?? 'no errcode'}): ${event.verdict}.`,
      };
    case 'store-away':
      return {
        level: 'error',
        text: `The shared store cannot be reached (${event.reason}). ${MEANWHILE} Looking again every second.`,
      };
    case 'store-back':
      return { level: 'log', text: `The shared store is in reach again, after ${event.seconds} s.` };
    case 'store-fault':
      return { level: 'error', text: `${meaningOf(event.fault)} Looking again every two seconds.` };
    case 'store-fault-over':
      return {
        level: 'log',
        text:
          event.fault === 'eviction'
            ? 'Redis keeps what it has again: its maxmemory-policy is noeviction.'
            : `Redis takes writes again (it was ${event.fault}).`,
      };
    case 'store-changed':
      return {
        level: 'warn',
        text: 'Another Redis server answers, the same one after a restart, or one that was emptied. It may have less than the one before: comparing, and writing again what is missing there.',
      };
    case 'store-clock-moved':
      return {
        level: 'warn',
        text: `The clock of Redis was moved by ${event.seconds} s. Credentials are not affected; their instants are written there anew.`,
      };
    case 'store-exposed':
      return {
        level: 'warn',
        text: `${event.what} was open to every user of this machine. ${event.mended ? 'Now it is for the user of the hub alone.' : 'It is not the hub that may change that: see to it that DATA_DIR is a folder of its own (mode 700).'}`,
      };
    case 'store-damaged':
      return {
        level: 'error',
        text: `${event.name}: what Redis has of it was changed by somebody who does not know the key, and is passed over. Find out who writes there.`,
      };
    case 'audit-failed':
      return {
        level: 'error',
        text: `The audit cannot be written (${event.reason}). ${
          event.isRequired
            ? 'Clients get errors until it can: AUDIT_REQUIRED forbids to hand out what is not recorded.'
            : 'Credentials are handed out without records.'
        } Make room, or mend the folder or the disk; trying again every second.`,
      };
    case 'audit-back':
      return {
        level: 'warn',
        text: `The audit can be written again, after ${event.seconds} s. It says itself that ${event.lost} record(s) are missing.`,
      };
    case 'keys-unavailable':
      return {
        level: 'warn',
        text: `The keys of the issuer ${event.issuer} could not be fetched: ${event.reason}. ${
          event.keepsOlder ? 'Those at hand are used on.' : 'Until they are there, its clients are refused.'
        }`,
      };
    case 'clock-moved':
      return {
        level: 'warn',
        text: `The system clock was moved by ${event.seconds} s. Credentials are not affected: their life is counted by a clock that does not jump.`,
      };
    case 'flood':
      return {
        level: 'warn',
        text: `Bad tokens come in numbers from ${event.network}: most of them are refused without a look. If that is a proxy, name it in TRUST_PROXY to tell who is behind it; if it is a client, see why it does not stop.`,
      };
    case 'many-refusals':
      return {
        level: 'warn',
        text: `Refusals are many, of ${event.source}: not each has a line here. If that is a proxy, name it in TRUST_PROXY to tell who is behind it; if it is a client, see what the lines that there are say of it, and why it does not stop.`,
      };
    case 'too-many-connections':
      return {
        level: 'error',
        text: `There are ${event.most} connections: more are closed as they come. See who holds them, or raise MAX_CONNECTIONS.`,
      };
  }
}

/** What becomes of clients meanwhile, and when WeChat is asked again. */
function prospectOf({ usable, retryAt }: { readonly usable: boolean; readonly retryAt: number }, now: number): string {
  const meanwhile = usable ? 'The present value is served on.' : 'Nothing usable is left: clients get an error.';
  return `${meanwhile} Asking again in ${Math.ceil((retryAt - now) / 1000)} s.`;
}

const NO_WRITES = 'Redis answers, but takes no writes';

const FAULTS: Readonly<Record<StoreFault, string>> = {
  OOM: `${NO_WRITES}: it has used up its maxmemory (OOM). Give it more, or take out of it what is not the hub's. ${MEANWHILE}`,
  READONLY: `${NO_WRITES}: it is a replica (READONLY). Let REDIS_URL name the master, or Sentinels that know it. ${MEANWHILE}`,
  MISCONF: `${NO_WRITES}: it cannot save to its disk (MISCONF). Make room there, or mend its folder; its own log says more. ${MEANWHILE}`,
  NOREPLICAS: `${NO_WRITES}: it has fewer replicas than its min-replicas-to-write wants (NOREPLICAS). Bring them back. ${MEANWHILE}`,
  eviction:
    'Redis may throw away what it keeps: its maxmemory-policy is not noeviction any more. Set it back, in its configuration too: a hub would not start.',
};

/** What a fault of the store means, and what to do about it. */
export function meaningOf(fault: StoreFault): string {
  return FAULTS[fault];
}

/** What went wrong and what to do about it, in plain words of our own and WeChat's errmsg. */
export function explain(error: unknown): string {
  if (error instanceof NotTheCredential) {
    return `${error.cause.message}. It said so of one access token and of the next, so they are not to blame: see in the WeChat console whether the account may use this API.`;
  }
  if (error instanceof StoreUnreachable) {
    const fault = WRITE_FAULTS.find((each) => each === error.reason);
    if (fault) return meaningOf(fault);
    return `${error.message}. The hub looks again every second by itself; see whether Redis runs, and whether this hub may reach it.`;
  }
  return error instanceof WechatError ? `${error.message}. ${error.advice}` : messageOf(error);
}

/** Why asking gave nothing, as one of a few words or an errcode that the hub knows: for those who count. */
export function causeOf(error: unknown): string {
  const refusal = refusalIn(error);
  if (refusal) return refusal.isKnown ? String(refusal.errcode) : 'other';
  if (error instanceof WechatUnreachable) return 'unreachable';
  if (error instanceof WechatNonsense) return 'nonsense';
  if (error instanceof StoreUnreachable) return 'store-unreachable';
  return error instanceof AllowanceSpent ? 'allowance' : 'unforeseen';
}

/** WeChat's own words on a failure, where it spoke. */
export function refusalIn(error: unknown): WechatRefusal | undefined {
  const told = error instanceof NotTheCredential ? error.cause : error;
  return told instanceof WechatRefusal ? told : undefined;
}

function nameOf({ app, kind }: { readonly app: string; readonly kind: string }): string {
  return `${app} ${kind}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
