import { setImmediate as endOfTurn } from 'node:timers/promises';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Audit } from '../audit/audit.js';
import type { KeyRing } from '../auth/key-ring.js';
import type { CredentialsService } from '../credentials/credentials.service.js';
import { causeOf } from '../credentials/chronicle.js';
import type { HubEvent } from '../credentials/journal.js';
import { secondsLeft } from '../credentials/policy.js';
import type { HostedApp } from '../credentials/hosted-app.js';
import type { SourceStatus } from '../credentials/recollection.js';
import { inTurns } from '../turns.js';
import { AnswerCounts, type Answered, NONE } from './answer-counts.js';
import { DayCount } from './day-count.js';
import { type Heading, LabelledCounts, pagesOf, type Sample, written } from './family.js';

const PREFIX = 'wechat_token_hub_';

/** What the metrics look at when somebody asks for them. */
export interface Watched {
  readonly credentials: Pick<CredentialsService, 'all' | 'clock' | 'storeStatus'>;
  readonly audit: Pick<Audit, 'status'>;
  readonly ring: Pick<KeyRing, 'issued'>;
  isConfigurationRefused(): boolean;
}

/**
 * The hub in figures, for Prometheus. Labels are configured names, kinds, and words of ours: never a value, a path, or
 * anything that a stranger sent. What is counted comes from the journal, what stands is looked up when it is asked for.
 */
export class Metrics {
  private readonly registry = new Registry();
  private readonly today: DayCount;
  private watched: Watched | undefined;
  private lookAtAudit = (): void => undefined;

  private readonly unsaved = this.gauge('store_unsaved', 'Credentials that are served, but not stored.', []);
  private readonly storeUp = this.gauge('store_up', 'Whether the store can be reached.', []);
  private readonly storeFault = this.gauge(
    'store_fault',
    'Set to 1 for what is wrong with a shared store that can be reached: why it takes no writes, or that it may forget.',
    ['fault'],
  );
  private readonly refused = this.gauge(
    'configuration_refused',
    'Whether the newest configuration is refused, and an older one in force.',
    [],
  );

  private readonly issuerKeys = this.gauge(
    'issuer_keys',
    'Keys at hand of the issuer that makes the tokens of a client, if one of these came within the hour.',
    ['client'],
  );
  private readonly issuerKeysUp = this.gauge(
    'issuer_keys_up',
    'Whether these keys could be fetched when they were wanted last.',
    ['client'],
  );

  private readonly refreshes = new LabelledCounts(
    counter('refreshes_total', 'Times that WeChat was asked for a new value.'),
  );
  private readonly reports = this.counter('reports_total', 'Tokens that clients reported as refused.', [
    'app',
    'verdict',
  ]);
  private readonly calls = new LabelledCounts(counter('wechat_calls_total', 'Calls to WeChat.'));
  private readonly answers = new AnswerCounts(this.registry, {
    requests: { name: `${PREFIX}http_requests_total`, help: 'Requests that were answered.' },
    duration: { name: `${PREFIX}http_request_duration_seconds`, help: 'How long requests took to answer.' },
  });
  private readonly shed = this.counter(
    'http_requests_shed_total',
    'Requests that were refused without a look, of floods of bad tokens.',
    [],
  );
  private readonly lockWait = this.histogram(
    'lock_wait_seconds',
    'How long another hub was waited for that had the right to ask WeChat.',
    [],
    [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
  );
  /**
   * @param now epoch milliseconds of the wall clock.
   * @param version of the hub.
   */
  constructor(now: () => number, version: string) {
    const today = 'Calls of this hub to WeChat since midnight in China, when quotas begin anew.';
    this.today = new DayCount(gauge('wechat_calls_today', today), now);
    this.gauge('build_info', 'The version of the hub that runs.', ['version']).set({ version }, 1);
    collectDefaultMetrics({ register: this.registry });
  }

  /** The media type of {@link pages}. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /**
   * All figures, as Prometheus reads them, a metric at a time, and where it is of very many things a part of it: those of a
   * hundred thousand credentials take seconds to write, for which clients must not wait.
   */
  async *pages(): AsyncGenerator<string, void, undefined> {
    await this.look();
    for (const { name } of this.registry.getMetricsAsArray()) {
      yield `${await this.registry.getSingleMetricAsString(name)}\n`;
      await endOfTurn();
    }
    for (const pages of [this.refreshes, this.calls, this.today, this.answers]) {
      yield* pages.pages();
      await endOfTurn();
    }
    const { credentials } = this.watched ?? {};
    const apps = credentials?.all ?? [];
    const now = credentials?.clock.now() ?? 0;
    for (const [heading, figureOf] of OF_EACH_APP) {
      yield* pagesOf(heading, apps, ([app, hosted]) => figureOf(app, hosted));
      await endOfTurn();
    }
    for (const [heading, figureOf] of OF_EACH_CREDENTIAL) {
      yield* pagesOf(heading, apps, ([app, { sources }]) =>
        sources.flatMap(({ kind, status }) => samplesOf({ app, kind }, figureOf(status, now))),
      );
      await endOfTurn();
    }
  }

  /** Looks at these from now on, whenever somebody asks for the figures. */
  watch(watched: Watched): void {
    this.watched = watched;
    // Without an audit there is none that could be down.
    if (watched.audit.status) this.lookAtAudit = this.figuresOf(watched.audit);
  }

  /** Counts a request that nobody looked at. */
  countShed(): void {
    this.shed.inc();
  }

  /** Counts what happened. */
  count(event: HubEvent): void {
    switch (event.event) {
      case 'minted':
      case 'unchanged':
        this.refreshes.add({ ...subjectOf(event), reason: event.flaw, result: event.event, cause: NONE });
        break;
      case 'failed':
        this.refreshes.add({ ...subjectOf(event), reason: event.flaw, result: 'failed', cause: causeOf(event.error) });
        break;
      case 'reported':
        this.reports.inc({ app: event.app, verdict: event.verdict });
        break;
      case 'waited':
        this.lockWait.observe(event.ms / 1000);
        break;
      case 'asked-wechat':
        this.today.add(event.app, event.api);
        this.calls.add({
          app: event.app,
          api: event.api,
          outcome: event.error === undefined ? 'ok' : causeOf(event.error),
        });
        break;
      default:
    }
  }

  /** Counts a request. */
  countAnswered(answered: Answered): void {
    this.answers.count(answered);
  }

  /** What is said of the hub as a whole. */
  private async look(): Promise<void> {
    const { storeFault, issuerKeys, issuerKeysUp } = this;
    for (const gauge of [storeFault, issuerKeys, issuerKeysUp]) gauge.reset();
    if (!this.watched) return;
    const { credentials } = this.watched;
    let unsaved = 0;
    for await (const apps of inTurns(credentials.all.values())) {
      for (const { sources } of apps) for (const source of sources) if (source.isUnsaved) unsaved += 1;
    }
    for (const [client, { keys, failure }] of this.watched.ring.issued) {
      issuerKeys.set({ client }, keys);
      issuerKeysUp.set({ client }, failure ? 0 : 1);
    }
    this.lookAtAudit();
    this.unsaved.set(unsaved);
    this.storeUp.set((credentials.storeStatus?.reachable ?? true) ? 1 : 0);
    for (const fault of credentials.storeStatus?.faults ?? []) storeFault.set({ fault }, 1);
    this.refused.set(this.watched.isConfigurationRefused() ? 1 : 0);
  }

  private figuresOf(audit: Pick<Audit, 'status'>): () => void {
    const up = this.gauge('audit_up', 'Whether the audit can be written.', []);
    const sequence = this.gauge('audit_sequence', 'The number of the last record in the audit.', []);
    const failed = this.counter('audit_failures_total', 'Records that could not be written, or not in time.', []);
    return () => {
      const { status } = audit;
      up.set(status?.trouble ? 0 : 1);
      sequence.set(status?.sequence ?? 0);
      failed.reset();
      failed.inc(status?.failures ?? 0);
    };
  }

  private gauge<L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> {
    return new Gauge({ name: PREFIX + name, help, labelNames, registers: [this.registry] });
  }

  private counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name: PREFIX + name, help, labelNames, registers: [this.registry] });
  }

  private histogram<L extends string>(name: string, help: string, labelNames: L[], buckets: number[]): Histogram<L> {
    return new Histogram({ name: PREFIX + name, help, labelNames, buckets, registers: [this.registry] });
  }
}

function subjectOf({ app, kind }: { readonly app: string; readonly kind: string }): { app: string; kind: string } {
  return { app, kind };
}

function gauge(name: string, help: string): Heading {
  return { name: PREFIX + name, help, type: 'gauge' };
}

function counter(name: string, help: string): Heading {
  return { name: PREFIX + name, help, type: 'counter' };
}

/** What is said of each app. */
const OF_EACH_APP: readonly (readonly [Heading, (app: string, hosted: HostedApp) => Sample[]])[] = [
  [
    gauge('rotations_left', 'Rotations that clients may ask for at this moment.'),
    (app, { rotationsLeft }) => [[written({ app }), rotationsLeft]],
  ],
  [
    gauge('wechat_daily_quota', 'Calls a day that WeChat allows the account, by all who ask together.'),
    (app, { quotas }) => Object.entries(quotas).map(([api, calls]) => [written({ app, api }), calls]),
  ],
];

/** A figure of a credential, with more labels if need be; nothing where it has none. */
type CredentialFigure = { readonly value: number; readonly labels?: Readonly<Record<string, string>> } | undefined;

/** What is said of each credential. What nobody has asked for yet is neither good nor bad. */
const OF_EACH_CREDENTIAL: readonly (readonly [Heading, (status: SourceStatus, now: number) => CredentialFigure])[] = [
  [
    gauge(
      'credential_expiry_seconds',
      'Seconds for which the present value may be held yet; 0 when nothing usable is there.',
    ),
    ({ credential, failure, usable }, now) =>
      (credential ?? failure) && { value: credential && usable ? secondsLeft(credential, now) : 0 },
  ],
  [
    gauge('credential_life_seconds', 'The whole life of the present value, in seconds.'),
    ({ credential }) => credential && { value: Math.round((credential.expiresAt - credential.issuedAt) / 1000) },
  ],
  [
    gauge('credential_version', 'The version of the present value.'),
    ({ credential }) => credential && { value: credential.version },
  ],
  [
    gauge('credential_failing', 'Set to 1 while asking WeChat for a new value fails, and why.'),
    ({ failure }) => failure && { value: 1, labels: { cause: causeOf(failure.error) } },
  ],
  [
    counter(
      'foreign_mints_total',
      'Values that WeChat refused although this hub had not replaced them: somebody else asks for this account.',
    ),
    // A counter that is there before it counts shows its first step, too.
    ({ credential, foreignMints: { count } }) => (credential ? { value: count } : undefined),
  ],
];

function samplesOf(subject: { readonly app: string; readonly kind: string }, figure: CredentialFigure): Sample[] {
  return figure ? [[written({ ...subject, ...figure.labels }), figure.value]] : [];
}
