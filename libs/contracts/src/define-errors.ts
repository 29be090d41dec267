/**
 * What a package throws: its catalogue, made by `defineErrors`. Apart from `error.ts` and free of schemas, so that a process
 * or thread that has to stay small can load it alone (`@hivemind/contracts/define-errors`).
 */
import type {ErrorBody, FieldError} from './error.ts';

export interface ErrorDefinition {
  /** HTTP status. */
  readonly status: number;
  /** Short, the same for every occurrence. */
  readonly title: string;
  readonly retryable?: boolean;
}

export interface ErrorDetails {
  readonly errors?: readonly FieldError[];
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class HivemindError extends Error {
  override readonly name = 'HivemindError';
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
  readonly errors: readonly FieldError[];
  readonly retryAfterMs: number | undefined;

  constructor(code: string, definition: ErrorDefinition, detail: string, details: ErrorDetails = {}) {
    super(detail, details.cause === undefined ? undefined : {cause: details.cause});
    this.code = code;
    this.status = definition.status;
    this.title = definition.title;
    this.retryable = definition.retryable ?? false;
    this.errors = details.errors ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      title: this.title,
      status: this.status,
      detail: this.message,
      ...(this.errors.length > 0 ? {errors: [...this.errors]} : {}),
      ...(this.retryAfterMs === undefined ? {} : {retryAfterMs: this.retryAfterMs}),
      ...(this.retryable ? {retryable: true} : {}),
    };
  }

  static fromBody(body: ErrorBody): HivemindError {
    return new HivemindError(
      body.code,
      {status: body.status, title: body.title, retryable: body.retryable ?? false},
      body.detail,
      {...(body.errors ? {errors: body.errors} : {}), ...(body.retryAfterMs === undefined ? {} : {retryAfterMs: body.retryAfterMs})},
    );
  }
}

export type ErrorFactory<T extends Record<string, ErrorDefinition>> = {
  readonly [K in keyof T & string]: (detail: string, details?: ErrorDetails) => HivemindError;
} & {readonly definitions: T};

/**
 * Declare a package's catalogue. Keys are the stable codes.
 * @example const errors = defineErrors({'app-not-found': {status: 404, title: 'App not found'}}); throw errors['app-not-found']('…');
 */
export function defineErrors<const T extends Record<string, ErrorDefinition>>(definitions: T): ErrorFactory<T> {
  const make: Record<string, unknown> = {definitions};
  for (const [code, definition] of Object.entries(definitions)) {
    make[code] = (detail: string, details?: ErrorDetails) => new HivemindError(code, definition, detail, details);
  }
  return make as ErrorFactory<T>;
}

/** Whether something thrown is a HivemindError of this code (also one that crossed the bus). */
export function isError(error: unknown, code?: string): error is HivemindError {
  return error instanceof HivemindError && (code === undefined || error.code === code);
}

/** Errors that any package may answer. */
export const commonErrors = defineErrors({
  'invalid-input': {status: 422, title: 'The input is not valid'},
  'malformed': {status: 400, title: 'The request could not be read'},
  'unauthorized': {status: 401, title: 'A valid token is needed'},
  'forbidden': {status: 403, title: 'Not allowed'},
  'not-found': {status: 404, title: 'Not found'},
  'conflict': {status: 409, title: 'It conflicts with what exists'},
  'already-exists': {status: 409, title: 'It exists already'},
  'version-mismatch': {status: 412, title: 'It was changed meanwhile'},
  'too-large': {status: 413, title: 'The request is too large'},
  'not-supported': {status: 422, title: 'This field is not acted upon yet'},
  'impossible': {status: 422, title: 'It cannot be done'},
  'unavailable': {status: 503, title: 'Not available now', retryable: true},
  'internal': {status: 500, title: 'Internal error'},
});
