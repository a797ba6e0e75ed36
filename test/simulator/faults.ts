import { bareAnswer, type Answer } from './answer.js';

/** What goes wrong. */
export type Effect =
  /** The connection is dropped, or never answered. `executed: true` is the lost response: the request had taken effect. */
  | { readonly kind: 'reset' | 'hang'; readonly executed?: boolean }
  /** The right answer, but so much later, or one byte at a time with such a pause before each. */
  | { readonly kind: 'slow' | 'drip'; readonly milliseconds: number }
  /** The right answer, of which only so many bytes arrive before the connection is dropped. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** A page of the gateway instead of JSON. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly executed?: boolean }
  /** HTTP 200 and not a byte. */
  | { readonly kind: 'empty'; readonly executed?: boolean }
  /** A refusal of WeChat's own, dressed as the service would. */
  | { readonly kind: 'errcode'; readonly errcode: number; readonly errmsg?: string; readonly executed?: boolean }
  /** Any text under HTTP 200, be it JSON or not. */
  | { readonly kind: 'body'; readonly body: string; readonly contentType?: string; readonly executed?: boolean }
  /** JSON that goes on for so many bytes (65537 when left out). */
  | { readonly kind: 'oversized'; readonly bytes?: number; readonly executed?: boolean }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number; readonly executed?: boolean }
  /** The right answer with some fields replaced, for instance `expires_in` by `"7200"` or `access_token` by `""`. */
  | { readonly kind: 'fields'; readonly fields: Readonly<Record<string, unknown>> }
  /** The right answer with a raw control character at the start of its first text. */
  | { readonly kind: 'control-character' }
  /** The right answer labelled text/plain. */
  | { readonly kind: 'text-plain' };

/** Which calls go wrong, how often, and how. */
export type Fault = Effect & {
  /** A path, or the beginning of one before a final `*`; every path when left out. */
  readonly path?: string;
  /** An appid or corpid; everybody's calls when left out. */
  readonly appid?: string;
  /** A host name, as in the Host header without its port; every host when left out. */
  readonly host?: string;
  /** Lets so many matching calls pass first. */
  readonly skip?: number;
  /** How many calls go wrong; until it is cleared when left out. */
  readonly times?: number;
};

/** The kinds of fault, for whoever has to check a description that came from outside. */
export const faultKinds: readonly Effect['kind'][] = [
  'reset',
  'hang',
  'slow',
  'drip',
  'cut',
  'status',
  'empty',
  'errcode',
  'body',
  'oversized',
  'redirect',
  'fields',
  'control-character',
  'text-plain',
];

const gatewayPage = '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n';

/** The faults in force; of several that match a call the one added first strikes. */
export class Faults {
  #active: { readonly fault: Fault; skip: number; times: number }[] = [];

  /** Brings a fault into force; the returned function ends it. */
  add(fault: Fault): () => void {
    const entry = { fault, skip: fault.skip ?? 0, times: fault.times ?? Number.POSITIVE_INFINITY };
    this.#active.push(entry);
    return () => {
      this.#active = this.#active.filter((other) => other !== entry);
    };
  }

  clear(): void {
    this.#active = [];
  }

  /** The fault that strikes this call, if any, spending one of its times. */
  strike(path: string, appid: string, host: string): Fault | undefined {
    for (const entry of this.#active) {
      const { fault } = entry;
      if (fault.path !== undefined && !matches(fault.path, path)) continue;
      if (fault.appid !== undefined && fault.appid !== appid) continue;
      if (fault.host !== undefined && fault.host !== host) continue;
      if (entry.skip > 0) {
        entry.skip--;
        continue;
      }
      entry.times--;
      if (entry.times <= 0) this.#active = this.#active.filter((other) => other !== entry);
      return fault;
    }
    return undefined;
  }
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}

/** What becomes of a call under a fault. `execute` carries it out, `refuse` dresses a refusal as the service would. */
export function spoil(
  effect: Effect,
  execute: () => Answer,
  refuse: (errcode: number, errmsg?: string) => Answer,
): Answer {
  switch (effect.kind) {
    case 'slow':
    case 'drip':
      return { ...execute(), transport: { kind: effect.kind, milliseconds: effect.milliseconds } };
    case 'cut':
      return { ...execute(), transport: { kind: 'cut', bytes: effect.bytes } };
    case 'fields':
      return withFields(execute(), effect.fields);
    case 'control-character': {
      const answer = execute();
      return { ...answer, body: answer.body.replace(/(:\s*")/, '$1\u0001') };
    }
    case 'text-plain': {
      const answer = execute();
      return { ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } };
    }
    case 'reset':
    case 'hang':
    case 'status':
    case 'empty':
    case 'errcode':
    case 'body':
    case 'oversized':
    case 'redirect':
      if (effect.executed === true) execute();
      return replacement(effect, refuse);
  }
}

type Replacing = Extract<Effect, { readonly executed?: boolean }>;

function replacement(effect: Replacing, refuse: (errcode: number, errmsg?: string) => Answer): Answer {
  switch (effect.kind) {
    case 'reset':
    case 'hang':
      return { ...bareAnswer(0), transport: { kind: effect.kind, executed: effect.executed ?? false } };
    case 'status':
      return bareAnswer(effect.status, effect.body ?? gatewayPage, { 'content-type': 'text/html' });
    case 'empty':
      return bareAnswer(200, '', { 'content-type': 'text/html; charset=gbk' });
    case 'errcode':
      return refuse(effect.errcode, effect.errmsg);
    case 'body':
      return bareAnswer(200, effect.body, { 'content-type': effect.contentType ?? 'application/json; encoding=utf-8' });
    case 'oversized': {
      const [start, end] = ['{"padding":"', '"}'];
      const padding = 'x'.repeat(Math.max(0, (effect.bytes ?? 65_537) - start.length - end.length));
      return bareAnswer(200, start + padding + end, { 'content-type': 'application/json; encoding=utf-8' });
    }
    case 'redirect':
      return bareAnswer(effect.status ?? 302, '', { location: effect.location });
  }
}

function withFields(answer: Answer, fields: Readonly<Record<string, unknown>>): Answer {
  const reply: unknown = answer.body === '' ? {} : JSON.parse(answer.body);
  return { ...answer, body: JSON.stringify({ ...(typeof reply === 'object' ? reply : {}), ...fields }) };
}
