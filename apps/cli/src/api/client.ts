/** HTTP to the server: JSON and streams, problems as errors, and a plain word when nobody answers. */
import {type ClientRequest, type IncomingMessage, request as httpRequest} from 'node:http';
import {request as httpsRequest} from 'node:https';
import type {Readable} from 'node:stream';
import {ErrorBody, HivemindError} from '@hivemind/contracts';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';

export interface ApiOptions {
  /** `http://127.0.0.1:4483`. */
  readonly server: string;
  readonly token: string | undefined;
  /** PEM: the authorities to trust; Node's own when absent. */
  readonly ca?: readonly string[] | undefined;
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it comes, in place of `body`. */
  readonly upload?: {readonly stream: Readable; readonly type: string};
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer<T> {
  readonly status: number;
  readonly data: T;
  /** As it came, for `-o json`. */
  readonly raw: unknown;
}

/** A path whose values are escaped: `` path`/apps/${name}` ``. */
export function path(texts: TemplateStringsArray, ...values: readonly string[]): string {
  return texts.reduce((whole, text, index) => `${whole}${text}${index < values.length ? encodeURIComponent(values[index] ?? '') : ''}`, '');
}

const Page = z.object({items: z.array(z.unknown()), next: z.string().nullish()});
const Problem = ErrorBody.partial().extend({status: z.number().optional()});
/** Codes of certificates that do not convince. */
const untrusted = /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_TLS_CERT)/;
const absent = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EAI_AGAIN']);

export class ApiClient {
  readonly server: string;
  readonly token: string | undefined;
  /** What a connection over TLS is made with. */
  readonly trust: {readonly ca?: string[]};

  constructor({server, token, ca}: ApiOptions) {
    this.server = server;
    this.token = token;
    this.trust = ca === undefined ? {} : {ca: [...ca]};
  }

  /**
   * @param where below `/api/v1`
   * @throws the server's error; `server-absent`, `not-hivemind`, `connection-lost`
   */
  async call<S extends z.ZodType>(method: string, where: string, schema: S, options: CallOptions = {}): Promise<Answer<z.output<S>>> {
    const response = await this.open(method, where, options);
    const text = await readText(response);
    const raw = parsed(text);
    const result = schema.safeParse(raw);
    if (!result.success) throw cliErrors['not-hivemind'](`${this.server} does not answer as Hivemind does to ${method} ${where}: is it another version?`, {cause: result.error});
    return {status: response.statusCode ?? 0, data: result.data, raw};
  }

  get<S extends z.ZodType>(where: string, schema: S, query?: Query): Promise<Answer<z.output<S>>> {
    return this.call('GET', where, schema, query === undefined ? {} : {query});
  }

  post<S extends z.ZodType>(where: string, schema: S, query?: Query, body?: unknown): Promise<Answer<z.output<S>>> {
    return this.call('POST', where, schema, {...(query === undefined ? {} : {query}), ...(body === undefined ? {} : {body})});
  }

  /** Every page of a list. */
  async list<S extends z.ZodType>(where: string, item: S, query: Query = {}): Promise<{readonly items: readonly z.output<S>[]; readonly raw: readonly unknown[]}> {
    const raw: unknown[] = [];
    for (let cursor: string | undefined; ;) {
      const {data} = await this.get(where, Page, {limit: 1000, ...query, cursor});
      raw.push(...data.items);
      if (typeof data.next !== 'string') break;
      cursor = data.next;
    }
    const items = z.array(item).safeParse(raw);
    if (!items.success) throw cliErrors['not-hivemind'](`${this.server} does not answer as Hivemind does to GET ${where}: is it another version?`, {cause: items.error});
    return {items: items.data, raw};
  }

  /** The answer, its body unread. Rejects on any status but 2xx. */
  async open(method: string, where: string, {query = {}, body, upload, headers = {}, signal}: CallOptions = {}): Promise<IncomingMessage> {
    const url = new URL(`${this.server.replace(/\/+$/, '')}/api/v1${where}`);
    appendQuery(url, query);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = send(url, {
      method,
      ...this.trust,
      ...(signal === undefined ? {} : {signal}),
      headers: {
        accept: 'application/json, application/x-ndjson, text/event-stream',
        ...(this.token === undefined ? {} : {authorization: `Bearer ${this.token}`}),
        ...(text === undefined ? {} : {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)}),
        ...(upload === undefined ? {} : {'content-type': upload.type}),
        ...headers,
      },
    });
    const answered = this.#answer(outgoing);
    if (upload === undefined) outgoing.end(text);
    else upload.stream.on('error', (error) => outgoing.destroy(error)).pipe(outgoing);
    const response = await answered;
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw problemOf(status, await readText(response), this);
  }

  #answer(outgoing: ClientRequest): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.on('error', (error: NodeJS.ErrnoException) => reject(connectionError(error, this.server)));
    });
  }
}

/** Whether nothing listens there: not a failure of the server, but its absence. */
export function connectionError(error: NodeJS.ErrnoException, server: string): Error {
  if (error.name === 'AbortError' || error instanceof HivemindError) return error;
  if (error.code !== undefined && absent.has(error.code)) return cliErrors['server-absent'](`Hivemind does not answer at ${server}. Start it with: hivemind up (or say where it is with --server URL)`, {cause: error});
  if (error.code !== undefined && untrusted.test(error.code)) return cliErrors['not-trusted'](`The certificate of ${server} is not trusted (${error.message}). Copy ca.crt from the data dir of a gateway, and name it with --ca FILE or HIVEMIND_CA.`, {cause: error});
  return cliErrors['connection-lost'](`The connection to ${server} was lost: ${error.message}`, {cause: error});
}

function problemOf(status: number, text: string, {server, token}: ApiClient): Error {
  const problem = Problem.safeParse(parsed(text));
  const {code, title, detail, errors, retryAfterMs} = problem.success ? problem.data : {};
  if (code === undefined) return cliErrors['not-hivemind'](`${server} answered ${status}, and not as Hivemind does: is something else there?`);
  const hint = status === 401 && token === undefined ? ' No token was found: pass --token, or set HIVEMIND_TOKEN, or HIVEMIND_DATA_DIR to where admin.token is.' : '';
  return new HivemindError(code, {status, title: title ?? code}, `${detail ?? title ?? code}${hint}`, {...(errors === undefined ? {} : {errors}), ...(retryAfterMs === undefined ? {} : {retryAfterMs})});
}

function appendQuery(url: URL, query: Query): void {
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) url.searchParams.append(name, String(one));
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(Buffer.from(chunk));
  } catch (error) {
    throw cliErrors['connection-lost']('The connection was lost in the middle of an answer.', {cause: error});
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
