/** The parts of an OpenAPI document that are used here; the rest is carried along. */
import {z} from 'zod';

const Operation = z.looseObject({summary: z.string().optional(), description: z.string().optional(), tags: z.array(z.string()).optional(), parameters: z.array(z.looseObject({name: z.string(), in: z.string(), required: z.boolean().optional(), schema: z.unknown()})).optional(), requestBody: z.looseObject({content: z.record(z.string(), z.looseObject({schema: z.unknown()}))}).optional(), responses: z.record(z.string(), z.unknown()).optional()});
export const OpenApiDocument = z.looseObject({openapi: z.string(), info: z.object({title: z.string(), version: z.string()}).loose(), paths: z.record(z.string(), z.record(z.string(), Operation))});
export type OpenApiDocument = z.infer<typeof OpenApiDocument>;

/** The document with the paths of others beside its own, which go before theirs. */
export function withPaths(document: OpenApiDocument, others: readonly OpenApiDocument[]): OpenApiDocument {
  const paths = Object.assign({}, ...others.map((other) => other.paths), document.paths);
  return {...document, paths};
}
