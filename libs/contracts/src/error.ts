/**
 * The one shape of an error, from core to HTTP: a stable code, a status, and what to do next.
 * Each package declares its own in `errors.ts` with `defineErrors`; they cross the bus and become problem+json unchanged.
 */
import * as z from 'zod';

export * from './define-errors.ts';

/** One wrong place in the input: `path` is dotted (`spec.ports[0].host`), `message` says what is wrong and the way out. */
export const FieldError = z.object({path: z.string(), message: z.string()});
export type FieldError = z.infer<typeof FieldError>;

/** What travels: problem+json without the transport's own fields. */
export const ErrorBody = z.object({
  code: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  errors: z.array(FieldError).optional(),
  /** ms after which trying again makes sense; sent as Retry-After (seconds, rounded up). */
  retryAfterMs: z.number().optional(),
  retryable: z.boolean().optional(),
});
export type ErrorBody = z.infer<typeof ErrorBody>;
