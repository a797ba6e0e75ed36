import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { APP_NAME } from '../config/hub-file.js';
import { PROBLEM_JSON, type Particulars, type Problem } from '../http/problems.js';
import { REQUEST_ID } from '../http/request-id.js';

type ComponentsObject = Required<NonNullable<OpenAPIObject['components']>>;
type JsonSchema = ComponentsObject['schemas'][string];
type ResponseObject = ComponentsObject['responses'][string];

/** A place of the document that says what is meant. */
interface Reference {
  readonly $ref: string;
}

/** Bodies by media type; the first is what comes unless `Accept` wants another more. */
export type Content = Readonly<Record<string, z.ZodType>>;

/** What an operation answers with some status. */
export interface Answer {
  readonly description: string;
  readonly content?: Content;
  /** Those that it has beside the ones that every answer has. */
  readonly headers?: readonly HeaderName[];
}

const HEADERS = {
  'X-Request-Id': {
    description: "The id of the request: the client's own if it sent a well-formed one.",
    schema: z.string().regex(REQUEST_ID),
  },
  'Cache-Control': { description: 'Nothing may be kept on the way.', schema: z.literal('no-store') },
  ETag: { description: 'The version of the credential.', schema: z.string().regex(/^"\d+"$/) },
  Vary: { description: 'The form depends on what is accepted.', schema: z.literal('Accept') },
  Allow: { description: 'The method that the path has.', schema: z.enum(['GET', 'POST']) },
  'Retry-After': { description: 'The seconds after which to ask again.', schema: z.int().positive() },
  'WWW-Authenticate': { description: 'What is wanted.', schema: z.literal('Bearer error="invalid_token"') },
};

type HeaderName = keyof typeof HEADERS;

const OF_EVERY_ANSWER: readonly HeaderName[] = ['X-Request-Id', 'Cache-Control'];

/** What problems of a status have, whatever their kind. */
const OF_PROBLEMS: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  429: ['Retry-After'],
  502: ['Retry-After'],
  503: ['Retry-After'],
};

/** What no schema of ours reads, but the framework or nobody. */
const PARAMETERS = {
  App: {
    name: 'app',
    in: 'path',
    required: true,
    description: 'The name of the app in the hub; the one from the environment is `default`.',
    schema: z
      .string()
      .regex(APP_NAME)
      .meta({ examples: ['default'] }),
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'The `ETag` of the version that the client has.',
    schema: z.string().meta({ examples: ['"1795413123"'] }),
  },
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    description: 'Takes the place of an id of the hub in answer and log, if it is well-formed.',
    schema: HEADERS['X-Request-Id'].schema,
  },
} as const;

const problem: z.ZodType<Problem & Particulars> = z
  .object({
    type: z.string().describe('The kind. Stable.'),
    title: z.string().describe('The kind, for people.'),
    status: z.int(),
    detail: z.string().exactOptional().describe('What to do.'),
    instance: z.string().exactOptional().describe('The id of the request, where the body is not the same for all.'),
    errcode: z.int().exactOptional().describe('What WeChat said.'),
    errmsg: z.string().exactOptional().describe('What WeChat said.'),
    rid: z.string().exactOptional().describe('How WeChat calls that call.'),
  })
  .meta({ id: 'Problem', description: 'An error, as in RFC 9457.' });

/** What the operations of the document have in common, each written down once. */
export class Components {
  readonly schemas: Record<string, JsonSchema> = {};
  readonly responses: Record<string, ResponseObject> = {};
  readonly headers = mapValues(HEADERS, (header) => ({
    ...header,
    required: true,
    schema: this.schema(header.schema),
  }));
  readonly parameters = mapValues(PARAMETERS, (parameter) => ({ ...parameter, schema: this.schema(parameter.schema) }));

  /** A schema as it stands in the document: written out, or a reference to where it is if it has a name. */
  schema(schema: z.ZodType): JsonSchema {
    // From the client's side: what it sends is held to the last key, what it gets may have more in a later version.
    const { $schema: _, $defs = {}, ...written } = z.toJSONSchema(schema, { io: 'input', override: tidy });
    Object.assign(this.schemas, moved($defs));
    return moved(written) as JsonSchema;
  }

  answer({ description, content, headers = [] }: Answer): ResponseObject {
    return {
      description,
      headers: Object.fromEntries(
        [...OF_EVERY_ANSWER, ...headers].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
      ),
      ...(content && { content: mapValues(content, (schema) => ({ schema: this.schema(schema) })) }),
    };
  }

  /** The answer to all that can go wrong with one status. */
  problems(status: number, kinds: readonly Problem[]): Reference {
    const types = kinds.map(({ type }) => type);
    const name = types.map((type) => type.replace(/^.*\//, '')).join('-or-');
    this.responses[name] ??= this.answer({
      description: kinds.map(({ title }) => `${title}.`).join(' '),
      content: { [PROBLEM_JSON]: problem.and(z.object({ type: z.enum(types), status: z.literal(status) })) },
      headers: OF_PROBLEMS[status] ?? [],
    });
    return { $ref: `#/components/responses/${name}` };
  }

  parameter(name: keyof typeof PARAMETERS): Reference {
    return { $ref: `#/components/parameters/${name}` };
  }
}

function mapValues<K extends string, V, W>(record: Readonly<Record<K, V>>, change: (value: V) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(record).map(([key, value]) => [key, change(value)])) as Record<K, W>;
}

/** Leaves out what tells a reader nothing: the expression behind a format, and how far JSON can count. */
function tidy({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}

/** The same, referring to where OpenAPI keeps schemas. */
function moved<T extends object>(written: T): T {
  return JSON.parse(JSON.stringify(written).replaceAll('"#/$defs/', '"#/components/schemas/')) as T;
}
