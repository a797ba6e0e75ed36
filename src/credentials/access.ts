import type { Audit } from '../audit/audit.js';
import type { ClientRequest } from '../auth/client.guard.js';
import { assertMay, UnknownApp } from '../auth/rights.js';
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
