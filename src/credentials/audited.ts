import type { AuditRecord } from '../audit/record.js';
import { causeOf } from './chronicle.js';
import type { HubEvent } from './journal.js';
import type { Credential } from './policy.js';

/**
 * What of the life of credentials belongs into the audit: that WeChat was asked for one, and what came of it.
 * @param find the credential as it stands; events hold no value.
 */
export function auditedOf(
  event: HubEvent,
  find: (app: string, kind: string) => Credential | undefined,
): AuditRecord | undefined {
  switch (event.event) {
    case 'minted':
    case 'unchanged': {
      const { app, kind, version, flaw: reason } = event;
      const credential = find(app, kind);
      const value = credential?.version === version ? credential.value : undefined;
      return { event: 'mint', outcome: event.event, app, kind, version, value, reason };
    }
    case 'failed': {
      const { app, kind, flaw: reason } = event;
      return { event: 'mint', outcome: causeOf(event.error), app, kind, reason };
    }
    case 'refused-by-wechat': {
      const { app, kind, version } = event;
      return { event: 'foreign-mint', outcome: 'refused-by-wechat', app, kind, version };
    }
    default:
      return undefined;
  }
}
