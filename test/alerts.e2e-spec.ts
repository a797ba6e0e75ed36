import {
  type IPrometheusRule,
  PrometheusRule,
} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { newKey } from '../src/config/random-keys.js';
import { type Dialect, WechatRefusal } from '../src/wechat/wechat.error.js';
import { Stage } from './hub.fixture.js';
import { Promtool } from './promtool.fixture.js';

const FOLDER = fileURLToPath(new URL('../deploy/monitoring/', import.meta.url));
const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');
/** Fetching promtool, and evaluating hours of rules, take their time on a busy machine. */
const PATIENCE_MS = 180_000;

/** The metrics that rules and panels may look at, and their labels: those of the hub's own, and a few that Node.js has. */
const METRICS: Readonly<Record<string, readonly string[]>> = {
  wechat_token_hub_credential_expiry_seconds: ['app', 'kind'],
  wechat_token_hub_credential_life_seconds: ['app', 'kind'],
  wechat_token_hub_credential_version: ['app', 'kind'],
  wechat_token_hub_credential_failing: ['app', 'kind', 'cause'],
  wechat_token_hub_refreshes_total: ['app', 'kind', 'reason', 'result', 'cause'],
  wechat_token_hub_reports_total: ['app', 'verdict'],
  wechat_token_hub_foreign_mints_total: ['app', 'kind'],
  wechat_token_hub_rotations_left: ['app'],
  wechat_token_hub_wechat_calls_total: ['app', 'api', 'outcome'],
  wechat_token_hub_wechat_calls_today: ['app', 'api'],
  wechat_token_hub_wechat_daily_quota: ['app', 'api'],
  wechat_token_hub_lock_wait_seconds_bucket: ['le'],
  wechat_token_hub_http_requests_total: ['client', 'app', 'route', 'status'],
  wechat_token_hub_http_request_duration_seconds_bucket: ['route', 'le'],
  wechat_token_hub_http_requests_shed_total: [],
  wechat_token_hub_store_up: [],
  wechat_token_hub_store_fault: ['fault'],
  wechat_token_hub_store_unsaved: [],
  wechat_token_hub_configuration_refused: [],
  wechat_token_hub_issuer_keys: ['client'],
  wechat_token_hub_issuer_keys_up: ['client'],
  wechat_token_hub_audit_up: [],
  wechat_token_hub_audit_sequence: [],
  wechat_token_hub_audit_failures_total: [],
  wechat_token_hub_build_info: ['version'],
  nodejs_eventloop_lag_p99_seconds: [],
  nodejs_heap_size_used_bytes: [],
  process_cpu_seconds_total: [],
  process_resident_memory_bytes: [],
};
/** What Prometheus itself adds. */
const ADDED_METRICS = ['up'];
const ADDED_LABELS = ['namespace', 'job', 'instance', 'pod'];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RulesFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface TestsFile {
  readonly tests: readonly {
    readonly name: string;
    readonly input_series: readonly { readonly series: string }[];
    readonly promql_expr_test?: readonly { readonly expr: string; readonly exp_samples?: readonly object[] }[];
  }[];
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly panels: readonly Panel[];
}

const alertsText = read('alerts.yaml');
const { groups } = parse(alertsText) as RulesFile;
const rules = groups.flatMap((group) => group.rules);
const { tests } = parse(read('alerts.test.yaml')) as TestsFile;

/** The label matchers and groupings of an expression taken away, and what is in quotes or brackets. */
function bare(expr: string): string {
  return expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
}

/** The metrics that an expression looks at. */
function metricsIn(expr: string): string[] {
  const words = bare(expr).match(/(?<![\w.])[a-z_:][\w:]*(?![\w:]|\s*\()/gi) ?? [];
  const ours = new Set(['and', 'or', 'unless', 'offset', 'bool', 'by']);
  return words.filter((word) => !ours.has(word));
}

/** The labels that an expression selects or groups by. */
function labelsIn(expr: string): string[] {
  const matched = [...expr.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label);
  const grouped = [...expr.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)].flatMap(
    ([, labels = '']) => labels.split(',').map((label) => label.trim()),
  );
  return [...matched, ...grouped.filter(Boolean)];
}

/** What is in an expression that no hub exports. */
function strangersIn(expr: string): string[] {
  const metrics = metricsIn(expr);
  const labels = [...ADDED_LABELS, ...metrics.flatMap((name) => METRICS[name] ?? [])];
  return [
    ...metrics.filter((name) => !(name in METRICS) && !ADDED_METRICS.includes(name)),
    ...labelsIn(expr).filter((label) => !labels.includes(label)),
  ];
}

/** The errcodes and other causes that a rule selects, or leaves out. */
function causesIn(alert: string, operator: '=' | '!'): string[] {
  const { expr = '' } = rules.find((rule) => rule.alert === alert) ?? {};
  return [...expr.matchAll(operator === '=' ? /cause=~?"([^"]+)"/g : /cause!~"([^"]+)"/g)].flatMap(([, causes = '']) =>
    causes.split('|'),
  );
}

/** The numbers that WeChat and WeCom use. */
const ERRCODES = [
  [-1000, 0],
  [40_000, 100_000],
  [300_000, 302_000],
] as const;

/** Every errcode of which the hub knows what it calls for. */
function* known(dialect: Dialect): Generator<WechatRefusal> {
  const { advice: unknown } = new WechatRefusal(dialect, 1, '', false);
  for (const [from, to] of ERRCODES) {
    for (let errcode = from; errcode < to; errcode += 1) {
      const refusal = new WechatRefusal(dialect, errcode, '', false);
      if (refusal.advice !== unknown) yield refusal;
    }
  }
}

let promtool: Promtool;
beforeAll(() => {
  promtool = Promtool.find();
}, PATIENCE_MS);

describe('the list of metrics', () => {
  it('is what a hub exports', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'audit-'));
    const stage = await Stage.set({ AUDIT_FILE: join(folder, 'audit'), AUDIT_KEY: newKey() });
    try {
      await stage.ask('/apps/default/access-token');
      const { text } = await stage.ask('/metrics', { token: null });
      const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
      const exported = types.map(([, name = '', type]) => (type === 'histogram' ? `${name}_bucket` : name));
      expect(Object.keys(METRICS).filter((name) => !exported.includes(name))).toEqual([]);
      const own = exported.filter((name) => name.startsWith('wechat_token_hub_'));
      expect(own.filter((name) => !(name in METRICS))).toEqual([]);

      const samples = [...text.matchAll(/^(\w+)\{(.*)\} \S+$/gm)].filter(([, name = '']) => name in METRICS);
      expect(samples.length).toBeGreaterThan(10);
      for (const [, name = '', inside = ''] of samples) {
        const labels = [...inside.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
        expect([name, labels.sort()]).toEqual([name, METRICS[name]?.toSorted()]);
      }
    } finally {
      await stage.strike();
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the alert rules', () => {
  it('are read by Prometheus', () => {
    expect(promtool.run('check', 'rules', join(FOLDER, 'alerts.yaml'))).toMatchObject({ ok: true });
  });

  it(
    'fire when they should, and are silent in the situations next to that',
    () => {
      expect(promtool.run('test', 'rules', join(FOLDER, 'alerts.test.yaml'))).toMatchObject({ ok: true });
    },
    PATIENCE_MS,
  );

  const asked = tests.flatMap((test) => test.promql_expr_test ?? []);
  it.each(rules.map((rule) => rule.alert))('are tested firing and silent: %s', (alert) => {
    const ofThis = asked.filter(({ expr }) => expr.includes(`ALERTS{alertname="${alert}",alertstate="firing"`));
    const firing = ofThis.filter(({ exp_samples: samples = [] }) => samples.length > 0);
    expect(firing).not.toEqual([]);
    expect(ofThis.length).toBeGreaterThan(firing.length);
  });

  it('are told apart by name, and so are their tests', () => {
    for (const names of [rules.map((rule) => rule.alert), tests.map((test) => test.name)]) {
      expect(names).toEqual([...new Set(names)]);
    }
    const alerts = asked.map(({ expr }) => /alertname="(\w+)"/.exec(expr)?.[1]);
    expect([...new Set(alerts)].sort()).toEqual(rules.map((rule) => rule.alert).sort());
  });

  it.each(rules)('say how urgent it is, what it means and where more is written: $alert', (rule) => {
    expect(rule.labels).toEqual({
      severity: expect.stringMatching(/^(page|ticket)$/) as string,
      service: 'wechat-token-hub',
    });
    expect(rule.annotations).toEqual({
      summary: expect.stringMatching(/^\S.{10,100}$/) as string,
      description: expect.stringMatching(/^\S.{100,}\.$/) as string,
      runbook_url: `docs/operations.md#${rule.alert.toLowerCase()}`,
    });
  });

  it('are each explained where they point to, and no other is', () => {
    const operations = readFileSync(join(FOLDER, '../../docs/operations.md'), 'utf8');
    const explained = [...operations.matchAll(/^### (\w+)\n\n_(page|ticket)_ · /gm)].map(([, alert, severity]) => [
      alert,
      severity,
    ]);
    expect(explained.sort()).toEqual(rules.map(({ alert, labels }) => [alert, labels['severity']]).sort());
  });

  it.each(rules)('look at what a hub exports: $alert', ({ expr }) => {
    expect(metricsIn(expr)).not.toEqual([]);
    expect(strangersIn(expr)).toEqual([]);
  });

  it('are tested with series that have the labels of a hub, all of them', () => {
    for (const { series } of tests.flatMap((test) => test.input_series)) {
      const [, name = '', inside = ''] = /^(\w+)\{(.*)\}$/.exec(series) ?? [];
      const labels = [...inside.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
      expect([name, labels.filter((label) => !ADDED_LABELS.includes(label))]).toEqual([
        name,
        ADDED_METRICS.includes(name) ? [] : METRICS[name],
      ]);
    }
  });

  it('tell hubs of different namespaces and jobs apart', () => {
    const groupings = rules.flatMap(({ expr }) => expr.match(/\b(?:by|on)\s*\([^)]*\)/g) ?? []);
    expect(groupings.filter((grouping) => !/^(?:by|on) \(namespace, job[,)]/.test(grouping))).toEqual([]);
    expect(rules.flatMap(({ expr }) => expr.match(/\b(?:without|ignoring)\b/g) ?? [])).toEqual([]);
  });

  it('have one way to name the job under which the hub is scraped', () => {
    const named = rules.filter(({ expr }) => /\b(?:up|nodejs_\w+|process_\w+)\{/.test(expr));
    expect(named.map((rule) => rule.alert)).toEqual(['HubAbsent', 'EventLoopSlow']);
    const jobs = rules.flatMap(({ expr }) => expr.match(/\bjob\s*[=!]~?\s*"[^"]*"/g) ?? []);
    expect([...new Set(jobs)]).toEqual(['job="wechat-token-hub"']);
  });

  const FOR_A_PERSON = ['IpNotAllowed', 'IpUnconfirmed', 'SecretRefused', 'AccountFrozen', 'RefreshRefused'];

  it.each<Dialect>(['wechat', 'wecom'])('call a person for every errcode that needs one: %s', (dialect) => {
    const refusals = [...known(dialect)];
    const forPerson = refusals.filter(({ remedy }) => remedy === 'person').map(({ errcode }) => String(errcode));
    expect(forPerson.length).toBeGreaterThan(10);
    const covered = FOR_A_PERSON.flatMap((alert) => causesIn(alert, '='));
    expect(forPerson.filter((errcode) => !covered.includes(errcode))).toEqual([]);
    const passing = refusals.filter(({ remedy }) => remedy === 'passing').map(({ errcode }) => String(errcode));
    expect(passing.filter((errcode) => covered.includes(errcode))).toEqual([]);
  });

  it('leave no cause out: what no other alert is about, RefreshFailing is', () => {
    const elsewhere = [...FOR_A_PERSON, 'QuotaUsedUp'].flatMap((alert) => causesIn(alert, '='));
    // StoreUnreachable and StoreUnreachableFromOne look at the store itself.
    expect(causesIn('RefreshFailing', '!').sort()).toEqual([...new Set([...elsewhere, 'store-unreachable'])].sort());
  });

  it('are the same for the Prometheus operator', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rules-'));
    try {
      for (const file of ['wrap.sh', 'alerts.yaml']) copyFileSync(join(FOLDER, file), join(folder, file));
      expect(spawnSync('sh', [join(folder, 'wrap.sh')]).status).toBe(0);
      expect(read('prometheusrule.yaml')).toBe(readFileSync(join(folder, 'prometheusrule.yaml'), 'utf8'));
    } finally {
      rmSync(folder, { recursive: true });
    }
    const manifest = parse(read('prometheusrule.yaml')) as IPrometheusRule;
    expect(manifest.spec.groups).toEqual(groups);
    expect(() => {
      new PrometheusRule(manifest).validate();
    }).not.toThrow();
  });
});

describe('the dashboard', () => {
  const dashboard = JSON.parse(read('dashboard.json')) as Dashboard;
  const { panels } = dashboard;
  const shown = panels.filter((panel) => panel.type !== 'row');
  const queries = shown.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

  it('asks for the Prometheus, the namespace, the job and the app, and each panel heeds that', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['namespace', 'query'],
      ['job', 'query'],
      ['app', 'query'],
    ]);
    for (const { datasource, targets = [] } of shown) {
      expect([datasource, ...targets.map((target) => target.datasource)].map((source) => source?.uid)).toEqual(
        Array.from({ length: targets.length + 1 }, () => '${datasource}'),
      );
    }
    for (const { expr } of queries) {
      for (const [selector] of expr.matchAll(/\{[^}]*\}/g)) {
        expect(selector).toContain('job=~"$job",namespace=~"$namespace"');
      }
      const perApp = metricsIn(expr).some((name) => METRICS[name]?.includes('app'));
      expect([expr, expr.includes('app=~"$app"')]).toEqual([expr, perApp]);
    }
  });

  it('has panels that can be told apart, each with a title, a description and a unit', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    for (const { title, description = '', fieldConfig } of shown) {
      expect([title, description.length > 10, fieldConfig?.defaults.unit]).toEqual([title, true, expect.any(String)]);
    }
  });

  it('has panels that lie side by side and not over each other', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.get(`${x},${y}`)]).toEqual([title, undefined]);
          taken.set(`${x},${y}`, title);
        }
      }
    }
  });

  it.each(queries)('asks for what a hub exports: $title', ({ expr }) => {
    expect(metricsIn(expr)).not.toEqual([]);
    expect(strangersIn(expr)).toEqual([]);
  });

  it('asks in a language that Prometheus reads', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
    const rulesOf = queries.map(({ expr }, i) => ({
      record: `dashboard:query_${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, '.*'),
    }));
    try {
      const file = join(folder, 'rules.yaml');
      writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: rulesOf }] }));
      expect(promtool.run('check', 'rules', '--lint=none', file)).toMatchObject({
        ok: true,
        text: expect.stringContaining(`${queries.length} rules found`) as string,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('shows everything that an alert goes by, but for the life that a value had, by which another figure is judged', () => {
    const shown = new Set(queries.flatMap(({ expr }) => metricsIn(expr)));
    const alerted = new Set(rules.flatMap(({ expr }) => metricsIn(expr)));
    expect([...alerted].filter((name) => !shown.has(name))).toEqual(['wechat_token_hub_credential_life_seconds']);
  });

  it('and the alerts leave out none of the metrics', () => {
    const seen = new Set([...queries, ...rules].flatMap(({ expr }) => metricsIn(expr)));
    expect(Object.keys(METRICS).filter((name) => !seen.has(name))).toEqual([]);
  });
});
