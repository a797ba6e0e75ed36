import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Algorithm, PublicKeyAlgorithm } from '../config/client-key.js';
import { type Client, isSameAddress, type Issuer, type KeySetAddress } from '../config/clients.js';
import type { Configuration } from '../config/configuration.js';
import type { Bearer } from './bearer.js';
import { type KeySet, type KeySetStatus, KeySetUnavailable } from './key-set.js';

/** The keys to try on a token, never none. */
export interface Candidates {
  readonly keys: readonly KeyObject[];
  /** Why none of these will do: they are there only so that the answer takes as long. */
  readonly lack?: string;
}

/** Why a token is refused that is nobody's. */
export const UNKNOWN_KID = 'the kid is unknown';

/** The configuration in force, as far as it is about clients. */
export interface Clients {
  readonly current: Pick<Configuration<unknown>, 'clients' | 'issuers'>;
}

/** Decides whose a token claims to be, and by which keys and algorithms it may be signed. Nothing else does. */
export class KeyRing {
  private readonly nobody = keysOfNobody();
  private readonly keySets = new Map<string, { readonly address: KeySetAddress; readonly keySet: KeySet }>();

  /** @param open gives the key set at an address. */
  constructor(
    private readonly configuration: Clients,
    private readonly open: (issuer: Issuer) => KeySet,
  ) {}

  /**
   * The client whose token it is, if it is good: that of its issuer and subject, or else of its kid. A client is one or
   * the other, and has to be asked for anew once the token is verified: it may be gone by then.
   */
  claimant({ kid, claims: { iss, sub } }: Bearer): Client | undefined {
    const { clients, issuers } = this.configuration.current;
    const issued = typeof iss === 'string' && typeof sub === 'string' ? issuers.get(iss)?.clients.get(sub) : undefined;
    if (issued) return issued;
    const named = clients.get(kid);
    return named?.issuer ? undefined : named;
  }

  /** The shared secrets to try on a token of HS256 that is the claimant's, or nobody's. An issuer has none. */
  secretsFor(claimant: Client | undefined): Candidates {
    return this.allowed(claimant, 'HS256');
  }

  /**
   * The public keys to try on a token of this kid and algorithm that is the claimant's, or nobody's; those of an issuer
   * are fetched if need be.
   */
  async publicKeysFor(claimant: Client | undefined, kid: string, algorithm: PublicKeyAlgorithm): Promise<Candidates> {
    if (!claimant?.issuer) return this.allowed(claimant, algorithm);
    try {
      const key = await this.keySetOf(claimant.issuer).find(kid);
      if (!key) return this.none(algorithm, 'its issuer has no key of this kid');
      return this.allowed({ keys: [key] }, algorithm);
    } catch (error) {
      if (!(error instanceof KeySetUnavailable)) throw error;
      return this.none(algorithm, `the keys of its issuer cannot be had (${error.message})`);
    }
  }

  /** The key of this kid, if the issuer has one, and need not be asked whether it still has it. */
  atHand({ name }: Issuer, kid: string): KeyObject | undefined {
    return this.keySets.get(name)?.keySet.atHand(kid)?.key;
  }

  /** Whether there is a key of this kid: one of a client's own, or of an issuer's that are at hand. */
  knows(kid: string): boolean {
    const { clients, issuers } = this.configuration.current;
    return clients.has(kid) || [...issuers.values()].some((issuer) => this.atHand(issuer, kid) !== undefined);
  }

  /** How the keys of issuers stand that somebody has wanted, by the clients whose tokens these make. */
  get issued(): ReadonlyMap<string, KeySetStatus> {
    const found = new Map<string, KeySetStatus>();
    for (const { name, issuer } of this.configuration.current.clients.values()) {
      const status = issuer && this.keySets.get(issuer.name)?.keySet.status;
      if (status) found.set(name, status);
    }
    return found;
  }

  private allowed(claimant: Pick<Client, 'keys'> | undefined, algorithm: Algorithm): Candidates {
    if (!claimant) return this.none(algorithm, UNKNOWN_KID);
    const allowed = claimant.keys.filter(({ algorithms }) => algorithms.includes(algorithm)).map(({ key }) => key);
    return allowed.length > 0 ? { keys: allowed } : this.none(algorithm, `there is no key for ${algorithm}`);
  }

  private none(algorithm: Algorithm, lack: string): Candidates {
    return { keys: [this.nobody[algorithm]], lack };
  }

  private keySetOf(issuer: Issuer): KeySet {
    const kept = this.keySets.get(issuer.name);
    // Another file with the same issuer in it is no reason to ask for its keys again.
    if (kept && isSameAddress(kept.address, issuer.keySet)) return kept.keySet;
    const keySet = this.open(issuer);
    this.keySets.set(issuer.name, { address: issuer.keySet, keySet });
    return keySet;
  }
}

/**
 * Keys that nobody has. A token of a kid that nobody has, or of an algorithm that its keys are not for, is checked
 * against one: it takes as long, and fails as it should.
 */
function keysOfNobody(): Readonly<Record<Algorithm, KeyObject>> {
  // As large as real ones are, and odd: that is all it takes to calculate with it. To find primes would take long.
  const modulus = randomBytes(256);
  modulus.writeUInt8(modulus.readUInt8(0) | 0xc0, 0);
  modulus.writeUInt8(modulus.readUInt8(255) | 1, 255);
  const rsa = createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' });
  return {
    HS256: createSecretKey(randomBytes(32)),
    RS256: rsa,
    PS256: rsa,
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
    EdDSA: generateKeyPairSync('ed25519').publicKey,
  };
}
