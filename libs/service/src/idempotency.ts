/**
 * Idempotency-Key: a POST that is sent again, because its answer was lost, has its effect once and the same answer.
 *
 * A request claims its key in the store, and puts its answer there before it is sent. Answers that had an effect (2xx)
 * are kept for 24 h; a refused request changed nothing, so sending it again simply tries again. A claim whose process died is
 * taken over after a minute: the effect may then be there without the answer, and the handler says so (`already-exists`).
 * Streams, and answers over 256 KiB, are not kept.
 */
import {createHash, createHmac} from 'node:crypto';
import {commonErrors, isError} from '@hivemind/contracts';
import {collection, type Stored} from '@hivemind/store';
import type {FastifyReply, FastifyRequest} from 'fastify';
import * as z from 'zod';
import {serviceErrors} from './errors.ts';
import type {HttpServer} from './http.ts';
import type {ManagerContext} from './manager.ts';

const KEPT_MS = 24 * 3600_000;
const CLAIM_MS = 60_000;
const MAX_KEPT = 10_000;
const MAX_ANSWER_BYTES = 256 * 1024;
/** Old records removed with each new one: more than come, so the backlog shrinks. */
const SWEEP = 8;
const KEPT_HEADERS = ['content-type', 'location', 'etag'] as const;

const Answer = z.object({status: z.number().int(), headers: z.record(z.string(), z.string()), body: z.string()});
const IdempotencyRecord = z.object({
  /** HMAC of method, URL and body, keyed by the Idempotency-Key: it gives away nothing of a body that holds secrets. */
  request: z.string(),
  /** Who claimed it. */
  instance: z.string(),
  /** ms since the epoch. */
  at: z.number(),
  answer: Answer.optional(),
});
type IdempotencyRecord = z.infer<typeof IdempotencyRecord>;
const records = collection({name: 'idempotency', schema: IdempotencyRecord, version: 1});

interface Claim {
  readonly key: string;
  readonly record: Stored<IdempotencyRecord>;
  /** Lets duplicates that wait go on. */
  readonly release: () => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    idempotencyClaim: Claim | undefined;
  }
}

type Context = Pick<ManagerContext, 'store' | 'logger' | 'now' | 'instance'>;

/** Adds it to every POST of `app` whose body is data, not a stream. */
export function honourIdempotencyKeys(app: HttpServer, context: Context): void {
  const keys = new IdempotencyKeys(context);
  app.decorateRequest('idempotencyClaim', undefined);
  app.addHook('preHandler', async (request, reply) => {
    const header = request.headers['idempotency-key'];
    // What another service answers is kept there.
    if (request.method !== 'POST' || header === undefined || isStream(request.body) || request.routeOptions.config.proxied === true) return undefined;
    return keys.begin(checkKey(header), request, reply);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.idempotencyClaim) await keys.settle(request.idempotencyClaim, reply, payload);
  });
  app.addHook('onResponse', async (request) => request.idempotencyClaim?.release());
}

function checkKey(header: string | readonly string[]): string {
  if (typeof header !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(header)) throw commonErrors.malformed('Idempotency-Key is 1 to 255 visible characters: a UUID, say.');
  return header;
}

const isStream = (body: unknown): boolean => typeof body === 'object' && body !== null && 'pipe' in body;

class IdempotencyKeys {
  readonly #context: Context;
  /** Requests of this process that are being answered. */
  readonly #inHand = new Map<string, Promise<void>>();
  /** Key → when, oldest first; read from the store at first use. */
  #kept: Promise<Map<string, number>> | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Replays the first answer, or claims the key for this request. */
  async begin(header: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const key = createHash('sha256').update(header).digest('hex');
    while (this.#inHand.has(key)) await this.#inHand.get(key);
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#inHand.set(key, promise);
    const release = (): void => {
      this.#inHand.delete(key);
      resolve();
    };
    try {
      const fingerprint = createHmac('sha256', header).update(`${request.method} ${request.url}\n${JSON.stringify(request.body) ?? ''}`).digest('base64url');
      const found = await records.in(this.#context.store).get(key);
      const answer = found && this.#judge(found.value, fingerprint);
      if (answer) {
        release();
        return await reply.code(answer.status).headers({...answer.headers, 'idempotency-replayed': 'true'}).send(answer.body);
      }
      request.idempotencyClaim = {key, release, record: await this.#claim(key, fingerprint, found)};
      return undefined;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The answer to replay, or undefined when the key is free. */
  #judge(record: IdempotencyRecord, fingerprint: string): z.infer<typeof Answer> | undefined {
    const {now, instance} = this.#context;
    const age = now() - record.at;
    if (age >= KEPT_MS) return undefined;
    if (record.request !== fingerprint) throw serviceErrors['idempotency-mismatch']('This Idempotency-Key was sent with another method, URL or body in the last 24 hours. Use a new key for a new request.');
    if (record.answer || record.instance === instance || age >= CLAIM_MS) return record.answer;
    throw serviceErrors['idempotency-in-progress']('Another gateway is answering the first request with this key. Try again in a moment.', {retryAfterMs: 1000});
  }

  async #claim(key: string, fingerprint: string, found: Stored<IdempotencyRecord> | undefined): Promise<Stored<IdempotencyRecord>> {
    const {store, now, instance} = this.#context;
    const record: IdempotencyRecord = {request: fingerprint, instance, at: now()};
    try {
      const stored = await records.in(store).put(key, record, {expect: found ?? 0});
      await this.#sweep(key, record.at);
      return stored;
    } catch (error) {
      if (!isError(error, 'already-exists') && !isError(error, 'version-mismatch')) throw error;
      throw serviceErrors['idempotency-in-progress']('Another gateway took the first request with this key. Try again in a moment.', {retryAfterMs: 1000});
    }
  }

  /** Keeps the answer, or frees the key when there is nothing to keep. Never fails the request: its effect is there. */
  async settle({key, record}: Claim, reply: FastifyReply, payload: unknown): Promise<void> {
    const {store, logger} = this.#context;
    const bound = records.in(store);
    const keep = reply.statusCode >= 200 && reply.statusCode < 300 && (typeof payload === 'string' || payload == null) && Buffer.byteLength(payload ?? '') <= MAX_ANSWER_BYTES;
    try {
      if (!keep) await bound.delete(key, {expect: record.version});
      else await bound.put(key, {...record.value, answer: {status: reply.statusCode, headers: keptHeaders(reply), body: payload ?? ''}}, {expect: record});
    } catch (err) {
      logger.warn({err}, 'the answer of an Idempotency-Key could not be kept');
    }
  }

  async #sweep(key: string, at: number): Promise<void> {
    const {store, logger, now} = this.#context;
    try {
      const kept = await (this.#kept ??= this.#readKept());
      kept.delete(key);
      kept.set(key, at);
      const old = [...kept].slice(0, SWEEP).filter(([, time], index) => now() - time >= KEPT_MS || kept.size - index > MAX_KEPT);
      if (old.length === 0) return;
      await store.transact({writes: old.map(([oldKey]) => records.deleting(oldKey))});
      for (const [oldKey] of old) kept.delete(oldKey);
    } catch (err) {
      this.#kept = undefined;
      logger.warn({err}, 'old Idempotency-Keys could not be removed');
    }
  }

  async #readKept(): Promise<Map<string, number>> {
    const {items} = await records.in(this.#context.store).list();
    return new Map(items.map(({key, value}): [string, number] => [key, value.at]).sort(([, a], [, b]) => a - b));
  }
}

function keptHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  }));
}
