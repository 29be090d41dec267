/**
 * Typed subjects as data: which pattern, and the zod schema of what travels. `@hivemind/bus` calls, serves, emits and
 * listens to them, validating at both ends. `{token}` marks one token of the subject that the caller fills in.
 */
import type * as z from 'zod';

export interface RequestSubject<Req extends z.ZodType, Rep extends z.ZodType, S extends string = string> {
  readonly kind: 'request';
  readonly subject: S;
  readonly request: Req;
  readonly reply: Rep;
  /** Deadline in ms; default 5,000. */
  readonly timeoutMs?: number;
}

export interface MessageSubject<M extends z.ZodType, S extends string = string> {
  readonly kind: 'message';
  readonly subject: S;
  readonly message: M;
}

export interface StreamSubject<P extends z.ZodType, Out extends z.ZodType, In extends z.ZodType, S extends string = string> {
  readonly kind: 'stream';
  readonly subject: S;
  /** Opening parameters. */
  readonly params: P;
  /** Control messages from the server to the opener. */
  readonly controlOut: Out;
  /** Control messages from the opener to the server. */
  readonly controlIn: In;
}

export function defineRequest<Req extends z.ZodType, Rep extends z.ZodType, const S extends string>(
  definition: Omit<RequestSubject<Req, Rep, S>, 'kind'>,
): RequestSubject<Req, Rep, S> {
  return {kind: 'request', ...definition};
}

export function defineMessage<M extends z.ZodType, const S extends string>(definition: Omit<MessageSubject<M, S>, 'kind'>): MessageSubject<M, S> {
  return {kind: 'message', ...definition};
}

export function defineStream<P extends z.ZodType, Out extends z.ZodType, In extends z.ZodType, const S extends string>(
  definition: Omit<StreamSubject<P, Out, In, S>, 'kind'>,
): StreamSubject<P, Out, In, S> {
  return {kind: 'stream', ...definition};
}

/** The `{token}` names of a subject, as an object that a caller must fill. */
export type Tokens<S extends string> = S extends `${string}{${infer T}}${infer Rest}` ? {readonly [K in T]: string} & Tokens<Rest> : unknown;
