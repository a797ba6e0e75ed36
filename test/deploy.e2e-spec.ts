import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IEnvVar } from 'kubernetes-models/v1/EnvVar';
import type { INamespace } from 'kubernetes-models/v1/Namespace';
import type { IPersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import type { IService } from 'kubernetes-models/v1/Service';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { readConfiguration } from '../src/config/configuration.js';
import { PLATFORMS } from '../src/wechat/platforms/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** What every document has that Kubernetes is given. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: { readonly name?: string; readonly labels?: Readonly<Record<string, string>> };
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly labels?: readonly { readonly includeSelectors?: boolean }[];
  readonly commonLabels?: unknown;
}

interface Compose {
  readonly services: Readonly<Record<'hub' | 'redis', ComposeService>>;
}

interface ComposeService {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly secrets: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly logging?: { readonly driver: string };
}

const kustomization = (folder: string): Kustomization =>
  parse(read(`deploy/${folder}/kustomization.yaml`)) as Kustomization;
const parseAll = (text: string): Manifest[] => parseAllDocuments(text).map((document) => document.toJS() as Manifest);

/** The documents as Kubernetes gets them; undefined where no kustomize is at hand. Folders are below the checkout. */
function render(folder: string): Manifest[] | undefined {
  for (const [command, ...args] of [
    ['kubectl', 'kustomize'],
    ['kustomize', 'build'],
  ] as const) {
    const { error, status, stdout, stderr } = spawnSync(command, [...args, folder], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    if (error) continue;
    if (status !== 0) throw new Error(stderr);
    return parseAll(stdout);
  }
  return undefined;
}

/** The base with a component. */
function renderWith(component: string): Manifest[] | undefined {
  const folder = `build/deploy/${component}`;
  mkdirSync(join(ROOT, folder), { recursive: true });
  const written = { resources: ['../../../deploy/base'], components: [`../../../deploy/components/${component}`] };
  writeFileSync(join(ROOT, folder, 'kustomization.yaml'), JSON.stringify(written));
  return render(folder);
}

/** The base is whole without kustomize: its files, and the ConfigMap that is made of one of them. */
function asWritten(folder: string): Manifest[] {
  const { resources, configMapGenerator } = kustomization(folder);
  const configMaps = configMapGenerator.map(({ name, files }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: Object.fromEntries(files.map((file) => [file, read(`deploy/${folder}/${file}`)])),
  }));
  return [...resources.flatMap((file) => parseAll(read(`deploy/${folder}/${file}`))), ...configMaps];
}

const TYPES: Readonly<Record<string, string>> = {
  'v1 ConfigMap': 'kubernetes-models/v1/ConfigMap',
  'v1 Namespace': 'kubernetes-models/v1/Namespace',
  'v1 PersistentVolumeClaim': 'kubernetes-models/v1/PersistentVolumeClaim',
  'v1 Service': 'kubernetes-models/v1/Service',
  'v1 ServiceAccount': 'kubernetes-models/v1/ServiceAccount',
  'apps/v1 Deployment': 'kubernetes-models/apps/v1/Deployment',
  'policy/v1 PodDisruptionBudget': 'kubernetes-models/policy/v1/PodDisruptionBudget',
  'networking.k8s.io/v1 NetworkPolicy': 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy',
  'monitoring.coreos.com/v1 ServiceMonitor':
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor',
};

/**
 * What the compiler has against the documents, as values of the types of Kubernetes. A schema would pass over a field that
 * it does not know, as Kubernetes does; a literal of a type must not have one.
 */
function misfits(name: string, documents: readonly Manifest[]): string[] {
  const lines = documents.map((document, at) => {
    const module = TYPES[`${document.apiVersion} ${document.kind}`];
    if (!module) throw new Error(`no type is known for ${document.apiVersion} ${document.kind}`);
    const type = `import('${module}').I${document.kind}`;
    return `export const document${at}: ${type} = ${JSON.stringify(document, undefined, 2)};\n`;
  });
  const file = join(ROOT, 'build/deploy', `${name}.ts`);
  mkdirSync(join(ROOT, 'build/deploy'), { recursive: true });
  writeFileSync(file, lines.join('\n'));
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** One variant of the manifests, by kind. */
function byKind(documents: readonly Manifest[]) {
  const one = (kind: string): unknown => {
    const found = documents.filter((document) => document.kind === kind);
    if (found.length !== 1) throw new Error(`${found.length} documents of the kind ${kind}`);
    return found[0];
  };
  const deployment = one('Deployment') as IDeployment;
  const { metadata, spec: pod } = must(deployment.spec).template;
  const container = must(must(pod).containers[0]);
  return {
    deployment,
    podLabels: must(metadata?.labels),
    pod: must(pod),
    container,
    environment: environmentOf(must(container.env)),
    service: one('Service') as IService,
    policy: one('NetworkPolicy') as INetworkPolicy,
    budget: one('PodDisruptionBudget') as IPodDisruptionBudget,
    monitor: one('ServiceMonitor') as IServiceMonitor,
    configMap: one('ConfigMap') as IConfigMap,
  };
}

/** The environment as a hub sees it, in the pod {@link POD}; a variable can refer to those before it. */
function environmentOf(variables: readonly IEnvVar[]): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const { name, value, valueFrom } of variables) {
    const text = valueFrom?.fieldRef?.fieldPath === 'metadata.name' ? POD : must(value);
    environment[name] = text.replaceAll(/\$\((\w+)\)/g, (whole, variable: string) => environment[variable] ?? whole);
  }
  return environment;
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a part of the manifests is missing');
  return value;
}

/** Whether a selector takes pods with these labels. An empty one takes all, and would be a mistake in each place here. */
function takes(selector: Readonly<Record<string, string>> | undefined, labels: Readonly<Record<string, string>>) {
  const wanted = Object.entries(must(selector));
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}

/** Node's own, and what other variables are made of: the documentation of the hub need not tell. */
const NOT_OURS = ['NODE_ENV', 'NODE_OPTIONS', 'POD_NAME'];
const DOCUMENTATION = [
  read('README.md'),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => read(`docs/${name}`)),
].join('\n');

/** Whether the documentation knows a setting, or the secret that a setting names the file of. */
function isDocumented(setting: string): boolean {
  const secret = setting.replace(/^JWT_KEY_.+$/, 'JWT_KEY_{kid}').replace(/_FILE$/, '');
  return [setting, secret].some((name) => NOT_OURS.includes(name) || DOCUMENTATION.includes(`\`${name}\``));
}

const isSecret = (setting: string): boolean =>
  /^(APPSECRET|STORE_KEY|AUDIT_KEY|REDIS_URL|JWT_KEY_.+(?<!_FILE))$/.test(setting);
const heapOf = (options: string | undefined): number =>
  Number(/--max-old-space-size=(\d+)/.exec(must(options))?.[1] ?? Number.NaN);

/** The secrets that an environment and a configuration file want to find in files. */
const secretsOf = (environment: Readonly<Record<string, string>>, config: string): Set<string> =>
  new Set([...Object.values(environment), config].flatMap((text) => text.match(SECRET_FILE) ?? []));
const secretFor = (name: string): string => `${name}, a text that is long enough for a key`;

const { version: VERSION } = JSON.parse(read('package.json')) as { version: string };
/** For how long the hub answers what came in after it was asked to end, in seconds. */
const PATIENCE = Number(/PATIENCE_MS = ([\d_]+)/.exec(read('src/hub.ts'))?.[1]?.replace('_', '')) / 1000;
const SECRETS = '/run/secrets/wechat-token-hub';
const SECRET_FILE = new RegExp(`(?<=${SECRETS}/)\\w+`, 'g');
const REDIS = { 'app.kubernetes.io/name': 'redis' };
const POD = 'wechat-token-hub-7d9f8b6c54-x2x7q';
const AUDIT_VOLUME = '/var/lib/wechat-token-hub';
const VARIANTS = {
  base: render('deploy/base') ?? asWritten('base'),
  production: render('deploy/overlays/production'),
  'the base with its audit on a volume': renderWith('audit-volume'),
};
/** Where each of them has its audit. */
const AUDITS: Readonly<Record<string, string>> = {
  production: '-',
  'the base with its audit on a volume': `${AUDIT_VOLUME}/${POD}.jsonl`,
};

describe.each(Object.entries(VARIANTS).flatMap(([name, documents]) => (documents ? [{ name, documents }] : [])))(
  'the manifests of $name',
  ({ name, documents }) => {
    const { deployment, podLabels, pod, container, environment, service, policy, budget, monitor, configMap } =
      byKind(documents);

    test('have no field and no value that Kubernetes does not know', () => {
      expect(misfits(name, documents)).toEqual([]);
    });

    test('speak of the same pods throughout', () => {
      expect(takes(deployment.spec?.selector.matchLabels, podLabels)).toBe(true);
      expect(takes(service.spec?.selector, podLabels)).toBe(true);
      expect(takes(budget.spec?.selector?.matchLabels, podLabels)).toBe(true);
      expect(takes(policy.spec?.podSelector.matchLabels, podLabels)).toBe(true);
      for (const { labelSelector } of must(pod.topologySpreadConstraints)) {
        expect(takes(labelSelector?.matchLabels, podLabels)).toBe(true);
      }
      expect(takes(monitor.spec.selector.matchLabels, must(service.metadata?.labels))).toBe(true);
      const all = [deployment, service, policy, budget, monitor, configMap];
      expect(new Set(all.map(({ metadata }) => metadata?.namespace)).size).toBe(1);
    });

    test('name only ports that there are', () => {
      const named = must(container.ports).map(({ name, containerPort }) => [must(name), containerPort] as const);
      const ports = Object.fromEntries(named);
      expect(ports).toEqual({
        http: Number(environment['PORT'] ?? 8567),
        metrics: Number(environment['METRICS_PORT']),
      });
      expect(service.spec?.ports?.map(({ targetPort }) => targetPort)).toEqual(['http', 'metrics']);
      expect(service.spec?.ports?.map(({ name }) => name)).toEqual(
        expect.arrayContaining(monitor.spec.endpoints.map(({ port }) => port)),
      );
      expect(monitor.spec.endpoints).toMatchObject([{ port: 'metrics', path: '/metrics' }]);
      const open = policy.spec?.ingress?.flatMap(({ ports }) => must(ports).map(({ port }) => port));
      expect(open).toEqual(Object.values(ports));
    });

    test('ask whether the hub lives where it says so, and whether it wants requests where it says that', () => {
      const { startupProbe, livenessProbe, readinessProbe } = container;
      expect([startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)).toEqual([
        { path: '/health/live', port: 'http' },
        { path: '/health/live', port: 'http' },
        { path: '/health/ready', port: 'http' },
      ]);
    });

    test('never leave clients without a hub', () => {
      expect(deployment.spec?.replicas).toBeGreaterThanOrEqual(2);
      expect(deployment.spec?.strategy).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
      });
      expect(budget.spec?.maxUnavailable).toBe(1);
      const sleep = must(container.lifecycle?.preStop?.sleep?.seconds);
      expect(sleep).toBeGreaterThan(0);
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(sleep + PATIENCE);
    });

    test('hold every secret as a file, in a folder whose files Kubernetes renews', () => {
      expect(container.envFrom).toBeUndefined();
      expect(Object.keys(environment).filter(isSecret)).toEqual([]);
      const files = Object.entries(environment).filter(([setting]) => isSecret(setting.replace(/_FILE$/, '')));
      expect(files.length).toBeGreaterThan(3);
      expect(files).toEqual(files.map(([setting]) => [setting, `${SECRETS}/${setting.replace(/_FILE$/, '')}`]));
      expect(container.volumeMounts?.slice(0, 2)).toEqual([
        { name: 'secrets', mountPath: SECRETS, readOnly: true },
        { name: 'config', mountPath: '/etc/wechat-token-hub', readOnly: true },
      ]);
      expect(pod.volumes?.slice(0, 2)).toMatchObject([
        { name: 'secrets', secret: { secretName: 'wechat-token-hub', defaultMode: 0o440 } },
        { name: 'config', configMap: { name: configMap.metadata?.name } },
      ]);
      expect(environment['HUB_CONFIG']).toBe(`/etc/wechat-token-hub/${String(Object.keys(must(configMap.data))[0])}`);
    });

    test('give the hub nothing to write to but, if its audit is a file, a volume for that', () => {
      const [, , ...mounts] = must(container.volumeMounts);
      const [, , ...volumes] = must(pod.volumes);
      const claims = documents.filter(({ kind }) => kind === 'PersistentVolumeClaim') as IPersistentVolumeClaim[];
      const isInFile = environment['AUDIT_FILE']?.startsWith(`${AUDIT_VOLUME}/`) ?? false;
      expect(mounts).toEqual(isInFile ? [{ name: 'audit', mountPath: AUDIT_VOLUME }] : []);
      expect(volumes).toEqual(
        claims.map(({ metadata }) => ({ name: 'audit', persistentVolumeClaim: { claimName: metadata?.name } })),
      );
      // Pods on several nodes have it at once, and the user of the hub may write there by its group.
      expect(claims.map(({ spec }) => spec?.accessModes)).toEqual(isInFile ? [['ReadWriteMany']] : []);
      expect(pod.securityContext?.fsGroup).toBe(pod.securityContext?.runAsGroup);
    });

    test('keep to what the pod security standard "restricted" asks for', () => {
      expect(pod.containers).toHaveLength(1);
      expect(pod.initContainers).toBeUndefined();
      expect(pod.hostNetwork ?? pod.hostPID ?? pod.hostIPC).toBeUndefined();
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        runAsGroup: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      const namespaces = documents.filter(({ kind }) => kind === 'Namespace') as INamespace[];
      expect(namespaces.map(({ metadata }) => metadata?.labels?.['pod-security.kubernetes.io/enforce'])).toEqual(
        namespaces.map(() => 'restricted'),
      );
    });

    test('let the hub reach Redis, names and WeChat, and nothing else', () => {
      const ways = must(policy.spec?.egress).map(({ to, ports }) => ({
        to: to?.map((peer) => peer.podSelector?.matchLabels ?? peer.namespaceSelector?.matchLabels),
        ports: ports?.map(({ port }) => port),
      }));
      expect(ways).toEqual([
        { to: [{ 'kubernetes.io/metadata.name': 'kube-system' }], ports: [53, 53] },
        { to: [REDIS], ports: [6379] },
        { to: undefined, ports: [443] },
      ]);
      expect(takes(REDIS, podLabels)).toBe(false);
      expect(policy.spec?.policyTypes).toEqual(['Ingress', 'Egress']);
    });

    test('open the hub to namespaces with a label, and its metrics to the monitoring alone', () => {
      const ways = must(policy.spec?.ingress).map(({ from, ports }) => ({
        from: from?.map((peer) => peer.namespaceSelector?.matchLabels),
        ports: ports?.map(({ port }) => port),
      }));
      expect(ways).toEqual([
        { from: [{ 'wechat-token-hub/clients': 'allowed' }], ports: [8567] },
        { from: [{ 'kubernetes.io/metadata.name': 'monitoring' }], ports: [9464] },
      ]);
    });

    test('name the image of this version', () => {
      expect(container.image).toBe(`wechat-token-hub:${VERSION}`);
    });

    test('leave half of the memory to what is not on the heap', () => {
      expect(container.resources?.limits?.['memory']).toBe('384Mi');
      expect(heapOf(environment['NODE_OPTIONS'])).toBe(192);
    });

    test('set what the documentation knows', () => {
      expect(Object.keys(environment).filter((setting) => !isDocumented(setting))).toEqual([]);
    });

    test('give the hub a configuration that it takes', () => {
      const folder = mkdtempSync(join(tmpdir(), 'deploy-'));
      try {
        const config = must(configMap.data?.['hub.yaml']).replaceAll(SECRETS, folder);
        writeFileSync(join(folder, 'hub.yaml'), config);
        const given = Object.entries(environment).map(
          ([name, value]) => [name, value.replace(SECRETS, folder)] as const,
        );
        const key = Buffer.alloc(32, 7).toString('base64');
        const secrets = { STORE_KEY: key, AUDIT_KEY: key, REDIS_URL: 'redis://:word@redis:6379/0' };
        for (const name of secretsOf(environment, must(configMap.data?.['hub.yaml']))) {
          writeFileSync(join(folder, name), name in secrets ? secrets[name as keyof typeof secrets] : secretFor(name));
        }
        const { apps, clients, settings, warnings } = readConfiguration(
          { ...Object.fromEntries(given), HUB_CONFIG: join(folder, 'hub.yaml') },
          PLATFORMS,
        );
        expect([...apps.keys()]).toEqual(name === 'production' ? ['shop', 'default'] : ['default']);
        expect([...clients.keys()]).toEqual(name === 'production' ? ['shop', 'web'] : ['web']);
        expect(settings.audit?.path).toBe(AUDITS[name]);
        expect(settings.redis).toMatchObject({ kind: 'single', host: 'redis' });
        expect(warnings).toEqual([]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  },
);

test('a field that is misspelt does not get past the compiler, nor does a value', () => {
  const mistakes = [
    ['terminationGracePeriodSeconds', 'terminationGracePeriod'],
    ['httpGet', 'httpget'],
    ['podSelector', 'podselector'],
    ['endpoints', 'endpoint'],
    ['RollingUpdate', 'Rolling'],
  ] as const;
  const documents = mistakes.flatMap(
    ([right, wrong]) => JSON.parse(JSON.stringify(VARIANTS.base).replace(`"${right}"`, `"${wrong}"`)) as Manifest[],
  );
  expect(misfits('misspelt', documents)).toEqual(mistakes.map(([, wrong]) => expect.stringContaining(wrong) as string));
});

describe('the example overlay', () => {
  test('adds no label to a selector: that would close the way to Redis', () => {
    const { labels, ...rest } = kustomization('overlays/production');
    expect(labels?.map(({ includeSelectors }) => includeSelectors)).toEqual([undefined]);
    expect(rest).not.toHaveProperty('commonLabels');
  });
});

const describeWithKustomize = VARIANTS.production ? describe : describe.skip;
describeWithKustomize('the example overlay, rendered', () => {
  test('changes the place, the number, the account and the configuration', () => {
    const { deployment, environment, configMap } = byKind(must(VARIANTS.production));
    expect(deployment.metadata?.namespace).toBe('wechat-token-hub');
    expect(deployment.spec?.replicas).toBe(3);
    expect(environment['APPID']).not.toBe(byKind(VARIANTS.base).environment['APPID']);
    expect(configMap.data).toEqual({ 'hub.yaml': read('deploy/overlays/production/hub.yaml') });
  });
});

describe('the image', () => {
  const dockerfile = read('deploy/Dockerfile');

  test('is built on a Node that a digest pins, in every stage', () => {
    expect(dockerfile).toMatch(/^ARG NODE_IMAGE=node:24\.\d+\.\d+-slim@sha256:[0-9a-f]{64}$/m);
    expect(new Set(dockerfile.match(/^FROM \S+/gm))).toEqual(new Set(['FROM ${NODE_IMAGE}']));
  });

  test('runs as the user that the manifests name, without a shell, on the port that they ask, and says its version', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(last).toContain('\nUSER 10001:10001\n');
    expect(last).toContain('\nCMD ["node", "dist/main.js"]\n');
    expect(last).toContain('\nEXPOSE 8567\n');
    expect(last).toContain(`\nARG VERSION=${VERSION}\n`);
  });

  test('gets from the working folder only what is named', () => {
    const [first, ...rest] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    const copied = [...dockerfile.matchAll(/^COPY (?:--chmod=\d+ )?((?!--)\S.*) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    expect(new Set(rest.filter((line) => line.startsWith('!')))).toEqual(new Set(copied.map((name) => `!${name}`)));
  });
});

describe('the compose file', () => {
  const { hub, redis } = (parse(read('deploy/compose.yaml')) as Compose).services;
  const environment = must(hub.environment);

  test('sets what the documentation knows, and every secret as a file', () => {
    expect(Object.keys(environment).filter((setting) => !isDocumented(setting))).toEqual([]);
    expect(Object.keys(environment).filter(isSecret)).toEqual([]);
    const files = Object.entries(environment).filter(([setting]) => setting.endsWith('_FILE'));
    expect(files.map(([, path]) => path)).toEqual(hub.secrets.map((name) => `/run/secrets/${name}`));
  });

  test('shuts both programs in', () => {
    for (const service of [hub, redis]) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    }
    expect(redis.ports).toBeUndefined();
    expect(hub.ports?.every((port) => port.startsWith('127.0.0.1:'))).toBe(true);
  });

  test('fills no disk with logs', () => {
    expect([hub, redis].map(({ logging }) => logging?.driver)).toEqual(['local', 'local']);
  });

  test('has a Redis that keeps what it is given', () => {
    expect(redis.image).toMatch(/@sha256:[0-9a-f]{64}$/);
    expect(redis.command).toEqual(expect.arrayContaining(['--appendonly yes', '--maxmemory-policy noeviction']));
  });

  test('gives the hub the version of the manifests, the same heap, and time to end', () => {
    const { container, environment: inPods } = byKind(VARIANTS.base);
    expect(hub.image).toBe(container.image);
    expect(environment['NODE_OPTIONS']).toBe(inPods['NODE_OPTIONS']);
    expect(Number.parseInt(must(hub.stop_grace_period))).toBeGreaterThan(PATIENCE);
  });
});
