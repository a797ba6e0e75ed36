import { hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Client } from '../config/clients.js';
import type { Bearer } from './bearer.js';
import type { Validity } from './claims.js';
import type { Clients, KeyRing } from './key-ring.js';
import { Recent } from './recent.js';
import { Sightings } from './sightings.js';

/** Each is a digest and a few words beside it: some megabytes in all. */
const MOST_TOKENS = 10_000;

/** Why a token was let in, with all that this hangs on but the configuration. */
export interface Verdict {
  readonly client: Client;
  readonly kid: Bearer['kid'];
  /** The key that made the signature, where it is not the client's own and may be withdrawn at any time. */
  readonly issuedWith?: KeyObject | undefined;
  readonly validity: Validity;
}

/** A verdict, and by how many other configurations it was preceded. */
interface Remembered extends Verdict {
  readonly era: number;
}

/**
 * Tokens that were verified lately: a client that keeps one for its life is let in without calculating it all again. What
 * is remembered is told by a digest of the whole token, and only as long as every check would have the same outcome;
 * what was refused is never told from here. Of a token that is good for the first time only that is noted: clients that
 * make one for each request would push out all others, and to forget a verdict again takes as long as to reach it.
 */
export class VerifiedTokens {
  /** What is here of another configuration, or of another time, was good then: that is worth a look, whatever comes of it. */
  private readonly remembered = new Recent<Remembered>(MOST_TOKENS);
  private readonly good = new Sightings();
  private underConfiguration: Clients['current'];
  private era = 0;

  constructor(
    private readonly configuration: Clients,
    private readonly ring: Pick<KeyRing, 'atHand'>,
  ) {
    this.underConfiguration = configuration.current;
  }

  /**
   * The client whose token it is, if that is certain.
   * @param token as {@link digestOf} has it.
   */
  recall(token: string): Client | undefined {
    const known = this.remembered.get(token);
    if (known?.era !== this.presentEra()) return undefined;
    const { client, kid, issuedWith, validity } = known;
    const now = Date.now() / 1000;
    if (now < validity.from || now >= validity.until) return undefined;
    if (!client.issuer) return client;
    const key = this.ring.atHand(client.issuer, kid);
    return key && key === issuedWith ? client : undefined;
  }

  /** Remembers a token that was verified just now, under the configuration that is in force, if it was good before. */
  keep(token: string, { client, kid, issuedWith, validity }: Verdict): void {
    if (this.good.lastOf(token) > 0) {
      this.remembered.set(token, { client, kid, issuedWith, validity, era: this.presentEra() });
    }
    this.good.note(token, Date.now());
  }

  /** Whether it was good when it was last looked at. */
  wasGood(token: string): boolean {
    return this.good.lastOf(token) > 0 || this.remembered.get(token) !== undefined;
  }

  /** It is not good, or no longer. */
  forget(token: string): void {
    this.good.forget(token);
    this.remembered.delete(token);
  }

  /** Another one for every configuration. */
  private presentEra(): number {
    const { current } = this.configuration;
    if (current !== this.underConfiguration) {
      this.underConfiguration = current;
      this.era += 1;
    }
    return this.era;
  }
}

/** What stands for an Authorization header where it has to be remembered: the 32 bytes of its SHA-256, a letter each. */
export function digestOf(authorization: string): string {
  return hash('sha256', authorization, 'binary');
}
