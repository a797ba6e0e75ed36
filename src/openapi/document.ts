import type { INestApplication } from '@nestjs/common';
import { ApiExcludeController, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { z } from 'zod';
import { GatewayController } from '../gateway/gateway.controller.js';
import { TokenController } from '../gateway/token.controller.js';
import type { Problem } from '../http/problems.js';
import { Components } from './components.js';
import { ALWAYS, GUARDED, type Operation, OPERATIONS, TAGS, WITH_BODY } from './operations.js';

type OperationObject = NonNullable<OpenAPIObject['paths'][string]['get']>;

const DESCRIPTION = `Keeps the access tokens and tickets of WeChat and WeCom apps alive and hands them out.

The hub reads strictly: an unknown, repeated or malformed parameter is 400, paths are taken to the letter, nothing
redirects. Where a JWT is needed, the roles that are named are the rights that the configuration gives to a client.

WeChat's own API is there as well, for those with the right \`proxy\`: below \`/apps/{app}/wechat\` for programs that show a
JWT, and at WeChat's own paths for SDKs with a secret of the hub. It is as WeChat describes it.`;

const JWT = `Signed with the key of the client (by HS256, unless the key is of another kind), with the name of the client as
\`kid\` in the header and \`wechat-token-hub\` as \`aud\`; \`exp\`, \`nbf\` and \`iat\` hold with 30 s of leeway.
\`npm run --silent jwt -- --kid web --ttl 5m\` prints one, in the folder of the hub.`;

/**
 * Describes the hub in OpenAPI 3.1: routes, parameters and bodies as the framework knows them, and the rest from
 * `OPERATIONS`.
 * @throws if there is a route that nobody has described.
 */
export function documentOf(app: INestApplication, version: string): OpenAPIObject {
  const components = new Components();
  const frame = new DocumentBuilder()
    .setOpenAPIVersion('3.1.1')
    .setTitle('wechat-token-hub')
    .setDescription(DESCRIPTION)
    .setVersion(version)
    .setLicense('MIT', 'https://spdx.org/licenses/MIT')
    .addServer('/')
    .addBearerAuth({ type: 'http', description: JWT }, 'jwt');
  for (const [tag, description] of Object.entries(TAGS)) frame.addTag(tag, description);
  // What these speak is for WeChat to describe.
  for (const controller of [GatewayController, TokenController]) ApiExcludeController()(controller);
  const document = SwaggerModule.createDocument(app, frame.build(), {
    standardSchemaConverter: (schema) => ({ schema: components.schema(schema as z.ZodType) }),
  });
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, scanned] of Object.entries(item) as [string, OperationObject][]) {
      const name = `${method.toUpperCase()} ${path}`;
      const operation = OPERATIONS[name];
      if (!operation) throw new Error(`Nobody has described ${name}.`);
      Object.assign(item, { [method]: described(operation, scanned, components) });
    }
  }
  const { schemas, responses, headers, parameters } = components;
  return { ...document, components: { ...document.components, schemas, responses, headers, parameters } };
}

/** What the framework knows of an operation, together with what we say of it. */
function described(operation: Operation, scanned: OperationObject, components: Components): OperationObject {
  const { operationId, tag, summary, description, rights = [], answers } = operation;
  const { parameters = [], requestBody } = scanned;
  const isOfApp = parameters.some((parameter) => 'in' in parameter && parameter.in === 'path');
  const problems = [
    ...ALWAYS,
    ...(rights.length > 0 ? GUARDED : []),
    ...(requestBody ? WITH_BODY : []),
    ...(operation.problems ?? []),
  ];
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: rights.map((right) => ({ jwt: [right] })),
    parameters: [
      ...(isOfApp ? [components.parameter('App')] : []),
      ...parameters.filter((parameter) => 'in' in parameter && parameter.in === 'query'),
      ...(304 in answers ? [components.parameter('IfNoneMatch')] : []),
      components.parameter('RequestId'),
    ],
    ...(requestBody && { requestBody }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, components.answer(answer)])),
      ...Object.fromEntries(
        [...byStatus(problems)].map(([status, kinds]) => [status, components.problems(status, kinds)]),
      ),
    },
  };
}

function byStatus(problems: readonly Problem[]): Map<number, Problem[]> {
  const groups = new Map<number, Problem[]>();
  for (const problem of problems) groups.set(problem.status, [...(groups.get(problem.status) ?? []), problem]);
  return groups;
}
