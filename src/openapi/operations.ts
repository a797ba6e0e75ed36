import { z } from 'zod';
import type { Action } from '../config/hub-file.js';
import { accessToken, ticket } from '../credentials/parameters.js';
import { appsView, jssdkConfigView, reportView, ticketView, tokenView } from '../credentials/views.js';
import { livenessView, readinessView } from '../health/views.js';
import { type Problem, PROBLEMS } from '../http/problems.js';
import type { Answer, Content } from './components.js';

/** What a reader of the API wants to know of a request, beyond what its route says. */
export interface Operation {
  /** How a client in some language would call it. */
  readonly operationId: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  /** Any of these lets a client in; where there are none, nobody has to show a JWT. */
  readonly rights?: readonly Action[];
  /** By status, what is no problem. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** What can go wrong, beyond what its rights and its body bring along. */
  readonly problems?: readonly Problem[];
}

/** The chapters of the document. */
export const TAGS = {
  'Default app': 'The requests of the original hub, for the app `default`.',
  Apps: 'The same for every app, and what clients do with a credential.',
  Watching: 'For machines that watch, and for those who write clients. Needs no JWT.',
} as const;

/** What can go wrong with whatever is asked. */
export const ALWAYS: readonly Problem[] = [
  PROBLEMS.malformed,
  PROBLEMS.methodNotAllowed,
  PROBLEMS.requestTimeout,
  PROBLEMS.uriTooLong,
  PROBLEMS.headersTooLarge,
  PROBLEMS.internal,
];

/** What can go wrong where a JWT has to be shown. */
export const GUARDED: readonly Problem[] = [PROBLEMS.unauthenticated, PROBLEMS.forbidden, PROBLEMS.tooMany];

/** What can go wrong where a body is read. */
export const WITH_BODY: readonly Problem[] = [PROBLEMS.tooLarge, PROBLEMS.unsupported];

/** Where WeChat may have to be asked, for an app that may not be there. */
const ASKING: readonly Problem[] = [
  PROBLEMS.notFound,
  PROBLEMS.refused,
  PROBLEMS.unreachable,
  PROBLEMS.storeUnreachable,
  PROBLEMS.closing,
  PROBLEMS.auditUnavailable,
];
const ROTATING: readonly Problem[] = [...ASKING, PROBLEMS.budgetSpent, PROBLEMS.refusedToReplace, PROBLEMS.notReplaced];
const OF_A_TICKET: readonly Problem[] = [...ROTATING, PROBLEMS.unknownTicketType];

const json = (schema: z.ZodType): Content => ({ 'application/json': schema });
const text = (schema: z.ZodType): Content => ({ 'text/plain': schema });

/** Where a credential is handed out, in two forms. */
const credential = (content: Content): Operation['answers'] => ({
  200: { description: 'The current value, in the form that `Accept` wants more.', content, headers: ['ETag', 'Vary'] },
  304: { description: 'There is no newer version than the one that the client has.', headers: ['ETag', 'Vary'] },
});

const rotating = (parameter: string): string =>
  `With \`${parameter}\` it takes the right \`rotate\`, otherwise \`read\`.`;

const defaultToken = {
  tag: 'Default app',
  description: rotating('rotate_token'),
  rights: ['read', 'rotate'],
  answers: credential({ ...text(accessToken), ...json(tokenView) }),
  problems: ROTATING,
} as const satisfies Partial<Operation>;

/** Every operation of the hub, by method and path. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /access-token': {
    ...defaultToken,
    operationId: 'getDefaultAccessToken',
    summary: 'The access token of the app `default`',
  },
  'GET /access_token': {
    ...defaultToken,
    operationId: 'getDefaultAccessTokenByOldName',
    summary: 'The same as `/access-token`',
  },
  'GET /ticket': {
    operationId: 'getDefaultTicket',
    tag: 'Default app',
    summary: 'A ticket of the app `default`',
    description: rotating('rotate_ticket'),
    rights: ['read', 'rotate'],
    answers: credential({ ...text(ticket), ...json(ticketView) }),
    problems: OF_A_TICKET,
  },
  'GET /apps': {
    operationId: 'listApps',
    tag: 'Apps',
    summary: 'The apps that the client sees',
    rights: ['read'],
    answers: { 200: { description: 'Each with what it serves.', content: json(appsView) } },
  },
  'GET /apps/{app}/access-token': {
    operationId: 'getAccessToken',
    tag: 'Apps',
    summary: 'The access token of an app',
    description: rotating('rotate_token'),
    rights: ['read', 'rotate'],
    answers: credential({ ...json(tokenView), ...text(accessToken) }),
    problems: ROTATING,
  },
  'GET /apps/{app}/ticket': {
    operationId: 'getTicket',
    tag: 'Apps',
    summary: 'A ticket of an app',
    description: rotating('rotate_ticket'),
    rights: ['read', 'rotate'],
    answers: credential({ ...json(ticketView), ...text(ticket) }),
    problems: OF_A_TICKET,
  },
  'POST /apps/{app}/access-token/report': {
    operationId: 'reportAccessToken',
    tag: 'Apps',
    summary: 'Says that WeChat refused an access token',
    description: 'The hub asks WeChat whether the token is really dead, and replaces it only then.',
    rights: ['report'],
    answers: { 200: { description: 'What became of it, and what to go on with.', content: json(reportView) } },
    problems: [...ASKING, PROBLEMS.refusedToDecide, PROBLEMS.undecided],
  },
  'POST /apps/{app}/jssdk-config': {
    operationId: 'createJssdkConfig',
    tag: 'Apps',
    summary: 'What `wx.config` wants for a page',
    rights: ['sign'],
    answers: { 200: { description: 'Signed, for this page and no other.', content: json(jssdkConfigView) } },
    problems: ASKING,
  },
  'GET /health/live': {
    operationId: 'checkLiveness',
    tag: 'Watching',
    summary: 'Whether the process turns',
    description: '`HEAD` works, too.',
    answers: { 200: { description: 'It does.', content: json(livenessView) } },
  },
  'GET /health/ready': {
    operationId: 'checkReadiness',
    tag: 'Watching',
    summary: 'Whether the hub should get requests, and how each credential is',
    description: '`HEAD` works, too.',
    answers: {
      200: { description: 'It should.', content: json(readinessView) },
      503: { description: 'It should not: it shuts down, or can be of no use.', content: json(readinessView) },
    },
  },
  'GET /metrics': {
    operationId: 'getMetrics',
    tag: 'Watching',
    summary: 'The hub in figures',
    answers: { 200: { description: 'In the format of Prometheus.', content: text(z.string()) } },
  },
  'GET /openapi.json': {
    operationId: 'getOpenapiDocument',
    tag: 'Watching',
    summary: 'This document',
    answers: {
      200: {
        description: 'OpenAPI 3.1.',
        content: json(z.looseObject({ openapi: z.string(), paths: z.looseObject({}) })),
      },
    },
  },
};
