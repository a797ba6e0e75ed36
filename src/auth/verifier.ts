import type { KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { PUBLIC_KEY_ALGORITHMS, type PublicKeyAlgorithm } from '../config/client-key.js';
import type { Client } from '../config/clients.js';
import { authorizationIn, type Bearer, readBearer, Unauthenticated } from './bearer.js';
import { flawOfClaims, validityOf } from './claims.js';
import { type Clients, type KeyRing, UNKNOWN_KID } from './key-ring.js';
import { isSignedForKey, isSignedWith } from './signature.js';
import { showingBy } from './showing.js';
import type { VerifiedTokens } from './verified-tokens.js';

/** The configuration in force, as far as it is about clients and how strictly their tokens are looked at. */
export interface Strictness extends Clients {
  readonly current: Clients['current'] & { readonly settings: { readonly authStrict: boolean } };
}

const BAD_SIGNATURE = 'invalid signature';

/** The part of a request in which its client shows who it is. */
export type Shown = Pick<IncomingMessage, 'rawHeaders' | 'socket'>;

/** What a token comes to: its client, or why nobody is let in by it. */
export type Judgement = Client | Unauthenticated;

/** A token of which nothing is known yet but that it is well-formed, and whose it claims to be. */
interface Unverified {
  readonly bearer: Bearer;
  readonly digest: string;
  readonly claimant: Client | undefined;
}

/**
 * Tells which client a token is of, or that it is nobody's. Every check of a token is made here, whichever way the
 * request took; what was verified once is remembered.
 */
export class Verifier {
  constructor(
    private readonly configuration: Strictness,
    private readonly ring: Pick<KeyRing, 'claimant' | 'secretsFor' | 'publicKeysFor'>,
    private readonly verified: VerifiedTokens,
  ) {}

  /**
   * The client whose token it is, if that was verified before and still holds.
   * @throws Unauthenticated when there is not one Authorization header.
   */
  recall({ rawHeaders, socket }: Shown): Client | undefined {
    return this.verified.recall(showingBy(socket, authorizationIn(rawHeaders)).digest);
  }

  /**
   * Verifies the token that a request shows.
   * @throws Unauthenticated
   */
  async verify(request: Shown): Promise<Client> {
    const judgement = await this.judge(request);
    if (judgement instanceof Unauthenticated) throw judgement;
    return judgement;
  }

  /**
   * The same, and at once, unless the token is signed with a private key, whose public one may have to be fetched. What
   * is wrong is given and not thrown: that would take V8 half as long as all the rest of a refusal.
   */
  judge({ rawHeaders, socket }: Shown): Judgement | Promise<Judgement> {
    try {
      const authorization = authorizationIn(rawHeaders);
      const { digest } = showingBy(socket, authorization);
      const known = this.verified.recall(digest);
      if (known) return known;
      const bearer = readBearer(authorization);
      const token = { bearer, digest, claimant: this.ring.claimant(bearer) };
      return isPublicKeyAlgorithm(bearer.alg) ? this.judgePublicly(token, bearer.alg) : this.judgeShared(token);
    } catch (error) {
      if (error instanceof Unauthenticated) return error;
      throw error;
    }
  }

  private judgeShared(token: Unverified): Judgement {
    const { bearer, claimant } = token;
    const { keys, lack } = this.ring.secretsFor(claimant);
    const isSigned = keys.some((key) => isSignedWith(key, bearer));
    if (lack === undefined && isSigned) return this.admit(token);
    return new Unauthenticated(
      bearer.alg === 'HS256' ? (lack ?? BAD_SIGNATURE) : 'the algorithm is unknown',
      bearer.kid,
    );
  }

  private async judgePublicly(token: Unverified, alg: PublicKeyAlgorithm): Promise<Judgement> {
    const { bearer, claimant } = token;
    const { keys, lack } = await this.ring.publicKeysFor(claimant, bearer.kid, alg);
    const holds = await Promise.all(keys.map((key) => isSignedForKey(key, alg, bearer.token)));
    // It may have taken a moment, and another configuration may have come into force: then that has the word.
    const present = this.ring.claimant(bearer);
    if (present !== claimant) return this.judgePublicly({ ...token, claimant: present }, alg);
    if (lack !== undefined || !holds.includes(true)) {
      return new Unauthenticated(lack ?? BAD_SIGNATURE, bearer.kid);
    }
    return this.admit(token, claimant?.issuer && keys[0]);
  }

  /** Called once the signature holds. */
  private admit({ bearer, digest, claimant: client }: Unverified, issuedWith?: KeyObject): Judgement {
    const { authStrict } = this.configuration.current.settings;
    if (!client) return new Unauthenticated(UNKNOWN_KID, bearer.kid);
    const flaw = flawOfClaims(bearer.claims, authStrict, Date.now() / 1000);
    if (flaw) return new Unauthenticated(flaw, bearer.kid);
    if (client.issuer && bearer.claims['exp'] === undefined) {
      return new Unauthenticated('the token never ends, as none of an issuer may', bearer.kid);
    }
    const validity = validityOf(bearer.claims, authStrict);
    this.verified.keep(digest, { client, kid: bearer.kid, issuedWith, validity });
    return client;
  }
}

function isPublicKeyAlgorithm(alg: string): alg is PublicKeyAlgorithm {
  return (PUBLIC_KEY_ALGORITHMS as readonly string[]).includes(alg);
}
