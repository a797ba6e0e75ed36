import type { Audit } from '../audit/audit.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { assertMay, UnknownApp } from '../auth/rights.js';
import type { Verifier } from '../auth/verifier.js';
import type { Action } from '../config/hub-file.js';
import type { CredentialsService } from './credentials.service.js';
import type { HostedApp } from './hosted-app.js';

/** What has to be looked at before a client gets to an app. */
export interface Doorkeeper {
  readonly credentials: Pick<CredentialsService, 'app'>;
  readonly audit: Pick<Audit, 'assertKept'>;
}

/**
 * The app that a request is about, if its client may do this with it. What it is about stands on the request from then on.
 * @throws UnknownApp, Forbidden, or AuditUnavailable where what is done could not be recorded.
 */
export function appFor(
  { credentials, audit }: Doorkeeper,
  request: ClientRequest,
  action: Action,
  name: string,
): HostedApp {
  const app = credentials.app(name);
  if (!app) throw new UnknownApp();
  request.about = name;
  request.action = action;
  assertMay(request.client, action, name);
  if (action !== 'read') audit.assertKept();
  return app;
}

/** Who looks at a client once more. */
export interface SecondLook extends Doorkeeper {
  readonly verifier: Pick<Verifier, 'verify'>;
}

/**
 * Looks once more, after a wait: another configuration may have come into force, in which the client is gone, or may less.
 * @returns whether the app is the same still.
 * @throws Unauthenticated, and what {@link appFor} throws.
 */
export async function isStill(
  app: HostedApp,
  keeper: SecondLook,
  request: ClientRequest,
  action: Action,
  name: string,
): Promise<boolean> {
  request.client = await keeper.verifier.verify(request);
  return appFor(keeper, request, action, name) === app;
}
