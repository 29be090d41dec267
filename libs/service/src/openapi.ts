/** The OpenAPI 3.1 document of a server, made when it is first asked for: nobody who does not ask pays for it. */
import swagger from '@fastify/swagger';
import fastify, {type RouteOptions} from 'fastify';
import {createJsonSchemaTransform} from 'fastify-type-provider-zod';
import * as z from 'zod';
import {OpenApiDocument} from './openapi-document.ts';

/** Documents `routes`, by a server that is never started. */
export async function openApiDocument(routes: readonly RouteOptions[], info: {readonly name: string; readonly version: string}): Promise<OpenApiDocument> {
  const app = fastify({logger: false, exposeHeadRoutes: false});
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => () => '');
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {title: `Hivemind ${info.name}`, version: info.version},
      components: {securitySchemes: {token: {type: 'http', scheme: 'bearer'}}},
      security: [{token: []}],
    },
    transform: createJsonSchemaTransform({zodToJsonConfig: {unrepresentable: 'any'}}),
  });
  for (const {method, url, schema = {}, config} of routes) {
    if (config?.internal === true || config?.proxied === true || config?.open === true && url === '/') continue;
    app.route({method, url, schema: documented(schema), handler: () => undefined});
  }
  await app.ready();
  const document = OpenApiDocument.parse(app.swagger());
  await app.close();
  return document;
}

/** Without the placeholders that refuse what is not asked for, and with the shape of failures. */
function documented(schema: NonNullable<RouteOptions['schema']>): NonNullable<RouteOptions['schema']> {
  const {querystring, body, response, ...rest} = schema;
  return {
    ...rest,
    ...(isEmpty(querystring) ? {} : {querystring}),
    ...(isEmpty(body) ? {} : {body}),
    response: {...Object(response), default: {description: 'problem+json', content: {'application/problem+json': {schema: ProblemSchema}}}},
  };
}

const ProblemSchema = z.object({type: z.string(), title: z.string(), status: z.number(), code: z.string(), detail: z.string(), errors: z.array(z.object({path: z.string(), message: z.string()})).optional(), traceId: z.string()});

function isEmpty(schema: unknown): boolean {
  if (schema instanceof z.ZodOptional) return isEmpty(schema.unwrap());
  return schema === undefined || (schema instanceof z.ZodObject && Object.keys(schema.shape).length === 0);
}
