/**
 * Typed subjects over any bus: what the schemas of `@hivemind/contracts` define is validated where it leaves and where it
 * arrives. Unknown fields are ignored by the reader, so releases can differ. A token of a subject may be any text.
 */
import * as z from 'zod';
import type {FieldError, MessageSubject, RequestSubject, StreamSubject, Tokens} from '@hivemind/contracts';
import {busErrors} from './errors.ts';
import type {Bus, ByteStream, HandlerContext, RequestOptions, SubscribeOptions, Subscription} from './bus.ts';

/** Where a message came from. */
export interface Origin<S extends string> {
  readonly tokens: Tokens<S>;
  readonly headers: Readonly<Record<string, string>>;
}

/** A stream whose control messages are typed: `Sent` go out from this side, `Received` come in. */
export interface TypedStream<Sent, Received> extends Omit<ByteStream, 'send' | 'controls'> {
  send(control: Sent): Promise<void>;
  /** Throws `invalid-message`, and cancels the stream, when the other side sends something else. */
  readonly controls: AsyncIterable<Received>;
}

/**
 * Ask, and wait for the answer.
 * @throws `invalid-message` 400 with field errors; `invalid-reply`; `timeout`; `no-responders`; what the other side threw
 */
export async function call<Req extends z.ZodType, Rep extends z.ZodType, S extends string>(
  bus: Bus,
  definition: RequestSubject<Req, Rep, S>,
  tokens: Tokens<S>,
  data: z.input<Req>,
  options: RequestOptions = {},
): Promise<z.output<Rep>> {
  const subject = fill(definition.subject, tokens);
  check(definition.request, data, subject);
  const reply = await bus.request(subject, data, {timeoutMs: definition.timeoutMs, ...options});
  const parsed = definition.reply.safeParse(reply);
  if (!parsed.success) throw invalidReply(subject, parsed.error);
  return parsed.data;
}

/** Answer. Tokens that are not given match anything; the handler learns what they were. */
export function serve<Req extends z.ZodType, Rep extends z.ZodType, S extends string>(
  bus: Bus,
  definition: RequestSubject<Req, Rep, S>,
  tokens: Partial<Tokens<S>>,
  handler: (data: z.output<Req>, context: HandlerContext & Origin<S>) => Promise<z.input<Rep>>,
  options?: SubscribeOptions,
): Promise<Subscription> {
  return bus.respond(
    fill(definition.subject, tokens, '*'),
    async ({subject, data, headers}, context) => {
      const reply = await handler(check(definition.request, data, subject), {
        tokens: readTokens(definition.subject, subject),
        headers,
        deadline: context.deadline,
        get signal() {
          return context.signal;
        },
      });
      const parsed = definition.reply.safeParse(reply);
      if (!parsed.success) throw invalidReply(subject, parsed.error);
      return reply;
    },
    options,
  );
}

/** Tell whoever listens. @throws `invalid-message` when it is not what the subject carries */
export async function emit<M extends z.ZodType, S extends string>(
  bus: Bus,
  definition: MessageSubject<M, S>,
  tokens: Tokens<S>,
  message: z.input<M>,
  headers?: Readonly<Record<string, string>>,
): Promise<void> {
  const subject = fill(definition.subject, tokens);
  check(definition.message, message, subject);
  await bus.publish(subject, message, headers);
}

/** Hear what is emitted. Tokens that are not given match anything. What does not fit the schema is logged and dropped. */
export function listen<M extends z.ZodType, S extends string>(
  bus: Bus,
  definition: MessageSubject<M, S>,
  tokens: Partial<Tokens<S>>,
  handler: (message: z.output<M>, origin: Origin<S>) => void | Promise<void>,
  options?: SubscribeOptions,
): Promise<Subscription> {
  return bus.subscribe(
    fill(definition.subject, tokens, '*'),
    ({subject, data, headers}) => handler(check(definition.message, data, subject), {tokens: readTokens(definition.subject, subject), headers}),
    options,
  );
}

/** Open a stream. What the server refuses shows at the first read or write, and in `closed`. */
export async function open<P extends z.ZodType, Out extends z.ZodType, In extends z.ZodType, S extends string>(
  bus: Bus,
  definition: StreamSubject<P, Out, In, S>,
  tokens: Tokens<S>,
  params: z.input<P>,
  options?: RequestOptions,
): Promise<TypedStream<z.input<In>, z.output<Out>>> {
  const subject = fill(definition.subject, tokens);
  check(definition.params, params, subject);
  return typed(await bus.openStream(subject, params, options), definition.controlIn, definition.controlOut, subject);
}

/** Serve streams; `invalid-message` cancels one whose parameters do not fit. The stream ends when the handler's promise does. */
export function serveStream<P extends z.ZodType, Out extends z.ZodType, In extends z.ZodType, S extends string>(
  bus: Bus,
  definition: StreamSubject<P, Out, In, S>,
  tokens: Partial<Tokens<S>>,
  handler: (stream: TypedStream<z.input<Out>, z.output<In>>, params: z.output<P>, origin: Pick<Origin<S>, 'tokens'>) => Promise<void>,
  options?: SubscribeOptions,
): Promise<Subscription> {
  return bus.serveStreams(
    fill(definition.subject, tokens, '*'),
    async (stream, subject) => {
      const params = check(definition.params, stream.params, subject);
      const origin = {tokens: readTokens(definition.subject, subject)};
      await handler(typed(stream, definition.controlOut, definition.controlIn, subject), params, origin);
    },
    options,
  );
}

function typed<Sent extends z.ZodType, Received extends z.ZodType>(
  stream: ByteStream,
  sent: Sent,
  received: Received,
  subject: string,
): TypedStream<z.input<Sent>, z.output<Received>> {
  async function* controls(): AsyncGenerator<z.output<Received>> {
    for await (const control of stream.controls) {
      const parsed = received.safeParse(control);
      if (!parsed.success) {
        const error = invalidMessage(subject, parsed.error);
        stream.destroy(error);
        throw error;
      }
      yield parsed.data;
    }
  }
  return {
    params: stream.params,
    readable: stream.readable,
    closed: stream.closed,
    controls: {[Symbol.asyncIterator]: controls},
    write: (chunk) => stream.write(chunk),
    send: async (control) => {
      check(sent, control, subject);
      await stream.send(control);
    },
    end: () => stream.end(),
    destroy: (error) => stream.destroy(error),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

function check<T extends z.ZodType>(schema: T, data: unknown, subject: string): z.output<T> {
  const parsed = schema.safeParse(data);
  if (!parsed.success) throw invalidMessage(subject, parsed.error);
  return parsed.data;
}

function invalidMessage(subject: string, error: z.ZodError): Error {
  return busErrors['invalid-message'](`What was sent on ${subject} is not what it carries.`, {errors: fieldErrors(error)});
}

function invalidReply(subject: string, error: z.ZodError): Error {
  return busErrors['invalid-reply'](`What ${subject} answered is not what it promises.`, {errors: fieldErrors(error)});
}

function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.map((issue) => ({path: z.core.toDotPath(issue.path), message: issue.message}));
}

const placeholder = /\{([^}]+)\}/g;
const TokenValues = z.record(z.string(), z.string().min(1).optional());

/** Puts tokens into a subject's places; those missing become `missing`, or are an error. */
function fill(template: string, tokens: unknown, missing?: '*'): string {
  const values = TokenValues.safeParse(tokens);
  if (!values.success) throw busErrors['invalid-subject'](`The tokens of ${template} must be texts that are not empty.`);
  return template.replace(placeholder, (place, name: string) => {
    const value = values.data[name];
    if (value !== undefined) return escapeToken(value);
    if (missing !== undefined) return missing;
    throw busErrors['invalid-subject'](`${template} needs a value for ${place}.`);
  });
}

/** What the places of a subject were filled with. */
function readTokens<S extends string>(template: S, subject: string): Tokens<S> {
  const parts = subject.split('.');
  const entries = template.split('.').flatMap((part, index) => {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    return name === undefined ? [] : [[name, unescapeToken(parts[index] ?? '')]];
  });
  // The names come from the template itself, which is what Tokens<S> reads at compile time.
  return Object.fromEntries(entries) as Tokens<S>;
}

/** Any text as one token: letters, digits, `_` and `-` as they are, other bytes as `=` and two hex digits. */
export function escapeToken(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

export function unescapeToken(token: string): string {
  return token.replace(/(?:=[0-9a-f]{2})+/g, (escaped) => Buffer.from(escaped.replaceAll('=', ''), 'hex').toString('utf8'));
}
