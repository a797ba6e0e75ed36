import { setTimeout as delay } from 'node:timers/promises';
import type { Held, HeldCredential } from '../held-credential.js';
import type { Kind } from '../hub-api.js';
import type { TokenFile } from './token-file.js';

/** What became of the file, for the log; never the credential itself. */
export type News =
  | { readonly event: 'written'; readonly version: number; readonly seconds_left: number }
  | { readonly event: 'failing'; readonly reason: string; readonly seconds_left: number }
  | { readonly event: 'recovered' }
  | { readonly event: 'removed'; readonly reason: string };

/** What is in the file: a credential, or what one before this process has left, and when it is at its end. */
interface Content {
  readonly held?: Held;
  readonly endsAt: number;
}

/** A full disk, say, may have room again. */
const DISK_PAUSE_MS = 5000;
/** Timers cannot be set for longer than 24 days; to ask sooner does no harm. */
const LONGEST_SLEEP_MS = 3_600_000;

/** Keeps the file of one credential fresh for as long as the hub has one, and takes it away when its value is at its end. */
export class Keeper {
  private content: Content | undefined;
  private trouble: string | undefined;

  /** @param now milliseconds of the clock that the credential is held by. */
  constructor(
    private readonly kind: Kind,
    private readonly credential: HeldCredential,
    private readonly file: TokenFile,
    private readonly now: () => number,
    private readonly tell: (news: News) => void,
  ) {}

  /** Goes on until it is told to stop; what it is about to write by then, it writes. */
  async run(stop: AbortSignal): Promise<void> {
    this.content = contentIn(await this.file.read(), this.kind, this.now() - Date.now());
    const stopped = new Promise<undefined>((resolve) => stop.addEventListener('abort', () => resolve(undefined)));
    while (!stop.aborted) {
      // The hub is not waited for when it is time to go.
      const held = await Promise.race([this.credential.renew().catch((error: unknown) => error as Error), stopped]);
      if (held === undefined) return;
      const pause = held instanceof Error ? await this.bear(held) : await this.keep(held);
      await delay(Math.min(pause, LONGEST_SLEEP_MS), undefined, { signal: stop }).catch(() => undefined);
    }
  }

  private async keep(held: Held): Promise<number> {
    if (held !== this.content?.held) {
      try {
        await this.file.write(textOf(held, this.kind, Date.now() - (this.now() - held.askedAt)));
      } catch (error) {
        this.fail(`the file cannot be written (${codeOf(error)})`);
        return DISK_PAUSE_MS;
      }
      this.content = { held, endsAt: held.endsAt };
      this.tell({ event: 'written', version: held.version, seconds_left: this.secondsLeft });
    }
    if (this.trouble !== undefined) this.tell({ event: 'recovered' });
    this.trouble = undefined;
    return this.credential.dueAt - this.now();
  }

  private async bear({ message }: Error): Promise<number> {
    const { content } = this;
    const isOver = content !== undefined && this.now() >= content.endsAt;
    if (isOver && !(await this.takeAway())) return DISK_PAUSE_MS;
    this.fail(message);
    if (isOver) this.tell({ event: 'removed', reason: 'its value is at its end' });
    if (!content || isOver) return this.credential.dueAt - this.now();
    return Math.min(this.credential.dueAt, content.endsAt) - this.now();
  }

  /** Whether the file is gone. */
  private async takeAway(): Promise<boolean> {
    try {
      await this.file.remove();
      this.content = undefined;
      return true;
    } catch (error) {
      this.fail(`the file cannot be taken away (${codeOf(error)})`);
      return false;
    }
  }

  private fail(reason: string): void {
    if (reason !== this.trouble) this.tell({ event: 'failing', reason, seconds_left: this.secondsLeft });
    this.trouble = reason;
  }

  private get secondsLeft(): number {
    return this.content ? Math.max(0, Math.floor((this.content.endsAt - this.now()) / 1000)) : 0;
  }
}

/** The fields by which SDKs know a token in a file, and a ticket. */
const FIELDS = {
  'access-token': { value: 'access_token', gotAt: 'got_token_at', expiresIn: 'token_expires_in' },
  ticket: { value: 'ticket', gotAt: 'got_ticket_at', expiresIn: 'ticket_expires_in' },
} as const;

/** What the file says. The times are epoch seconds, rounded to the safe side. */
function textOf({ value, expiresIn }: Held, { kind }: Kind, askedAt: number): string {
  const names = FIELDS[kind];
  const fields = { [names.value]: value, [names.gotAt]: Math.floor(askedAt / 1000), [names.expiresIn]: expiresIn };
  return `${JSON.stringify(fields)}\n`;
}

/**
 * What one before this one left in the file; nothing, if it is none of ours.
 * @param drift what to add to the wall clock's time.
 */
function contentIn(text: string | undefined, { kind }: Kind, drift: number): Content | undefined {
  try {
    const fields = Object(JSON.parse(text ?? '')) as Record<string, unknown>;
    const [gotAt, expiresIn] = [fields[FIELDS[kind].gotAt], fields[FIELDS[kind].expiresIn]];
    if (typeof gotAt !== 'number' || typeof expiresIn !== 'number') return undefined;
    return { endsAt: (gotAt + expiresIn) * 1000 + drift };
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
