import { WechatError, WechatRefusal } from '../wechat/wechat.error.js';
import { NotTheCredential } from './failure.js';
import type { HubEvent } from './credentials.service.js';

/** Says what happened, what it means and what happens next, in a line for the operator's log; never a value. */
export function tellInWords(event: HubEvent, now: number): { level: 'log' | 'warn' | 'error'; text: string } {
  switch (event.event) {
    case 'minted':
      return {
        level: 'log',
        text: `${event.name}: new value, version ${event.version}, for ${event.seconds} s (it was ${event.flaw}).`,
      };
    case 'unchanged':
      return {
        level: 'log',
        text: `${event.name}: WeChat gave the same value again, version ${event.version}, good for ${event.seconds} s yet; asking again before that.`,
      };
    case 'failed':
      return {
        level: event.usable ? 'warn' : 'error',
        text: `${event.name}: ${explain(event.error)} ${
          event.usable ? 'The present value is served on.' : 'Nothing usable is left: clients get an error.'
        } Asking again in ${String(Math.ceil((event.retryAt - now) / 1000))} s.`,
      };
    case 'refused-by-wechat':
      return {
        level: 'warn',
        text: `${event.name}: WeChat refuses version ${event.version}, which this hub did not replace. Somebody else asks for tokens of this account (another hub, an SDK with the AppSecret, a test system): find and stop it, or they end each other's tokens. Getting a new one now.`,
      };
    case 'waited':
      return {
        level: 'log',
        text: `${event.name}: waited ${Math.round(event.ms)} ms for another hub, which has not got a value.`,
      };
    case 'overtaken':
      return {
        level: 'warn',
        text: `${event.name}: this hub was too slow (stopped? overloaded?), and another may have asked WeChat meanwhile. What it got is not taken for certain; looking again.`,
      };
    case 'unsaved':
      return {
        level: 'error',
        text: `${event.name}: the value is served but not stored (${messageOf(event.error)}). A restart now would cost a call to WeChat. Make room or mend the folder; trying again by itself.`,
      };
    case 'saved-again':
      return { level: 'log', text: `${event.name}: stored again.` };
    case 'store-away':
      return {
        level: 'error',
        text: `The shared store cannot be reached (${event.reason}). What is in memory is served on; nothing new is asked of a classic endpoint, because another hub may be asking. Looking again every second.`,
      };
    case 'store-back':
      return { level: 'log', text: `The shared store is in reach again, after ${event.seconds} s.` };
    case 'store-changed':
      return {
        level: 'warn',
        text: 'Another Redis server answers, or the same one after a restart. It may have less than the one before: comparing, and writing again what is missing there.',
      };
    case 'store-clock-moved':
      return {
        level: 'warn',
        text: `The clock of Redis was moved by ${event.seconds} s. Credentials are not affected; their instants are written there anew.`,
      };
    case 'store-damaged':
      return {
        level: 'error',
        text: `${event.name}: what Redis has of it was changed by somebody who does not know the key, and is passed over. Find out who writes there.`,
      };
    case 'clock-moved':
      return {
        level: 'warn',
        text: `The system clock was moved by ${event.seconds} s. Credentials are not affected: their life is counted by a clock that does not jump.`,
      };
  }
}

/** What went wrong and what to do about it, in plain words of our own and WeChat's errmsg. */
export function explain(error: unknown): string {
  if (error instanceof NotTheCredential) {
    return `${error.cause.message}. It said so of one access token and of the next, so they are not to blame: see in the WeChat console whether the account may use this API.`;
  }
  return error instanceof WechatError ? `${error.message}. ${error.advice}` : messageOf(error);
}

/** WeChat's own words on a failure, where it spoke. */
export function refusalIn(error: unknown): WechatRefusal | undefined {
  const told = error instanceof NotTheCredential ? error.cause : error;
  return told instanceof WechatRefusal ? told : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
