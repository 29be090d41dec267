/** The parts of an OpenAPI document that are used here; the rest is carried along. */
import * as z from 'zod';

const Operation = z.looseObject({summary: z.string().optional(), description: z.string().optional(), tags: z.array(z.string()).optional(), parameters: z.array(z.looseObject({name: z.string(), in: z.string(), required: z.boolean().optional(), schema: z.unknown()})).optional(), requestBody: z.looseObject({content: z.record(z.string(), z.looseObject({schema: z.unknown()}))}).optional(), responses: z.record(z.string(), z.unknown()).optional()});
export const OpenApiDocument = z.looseObject({openapi: z.string(), info: z.looseObject({title: z.string(), version: z.string(), description: z.string().optional()}), paths: z.record(z.string(), z.record(z.string(), Operation))});
export type OpenApiDocument = z.infer<typeof OpenApiDocument>;

export interface OtherDocuments {
  readonly documents: readonly OpenApiDocument[];
  /** Services that have not told theirs. */
  readonly missing: readonly string[];
}

/** The document with the paths of others beside its own, which go before theirs. Where some are missing its description says so. */
export function withPaths(document: OpenApiDocument, {documents, missing}: OtherDocuments): OpenApiDocument {
  const paths = Object.assign({}, ...documents.map((other) => other.paths), document.paths);
  const description = `Not all of it: what ${missing.join(', ')} answer${missing.length === 1 ? 's' : ''} is not known just now. Ask again.`;
  return {...document, ...(missing.length === 0 ? {} : {info: {...document.info, description}}), paths};
}
