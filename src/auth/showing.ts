import { kidAtAGlance } from './bearer.js';
import { digestOf } from './verified-tokens.js';

/** An Authorization header as it was shown, and what is found out about it, once. */
export class Showing {
  readonly digest: string;
  private glance: { readonly kid: string | undefined } | undefined;

  constructor(readonly authorization: string) {
    this.digest = digestOf(authorization);
  }

  /** The kid that its token seems to have. */
  get seemingKid(): string | undefined {
    this.glance ??= { kid: kidAtAGlance(this.authorization) };
    return this.glance.kid;
  }
}

/** What connections showed last: most show the same with every request. */
const shown = new WeakMap<object, Showing>();

/** The header that came by this connection, with what is known of it if it is that of the request before. */
export function showingBy(connection: object, authorization: string): Showing {
  const last = shown.get(connection);
  if (last?.authorization === authorization) return last;
  const showing = new Showing(authorization);
  shown.set(connection, showing);
  return showing;
}
