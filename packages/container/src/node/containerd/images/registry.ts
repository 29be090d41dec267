/** A registry, by the OCI distribution protocol: manifests and blobs, with whatever proof it asks for. */
import type {RegistryCredentials} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {setTimeout as pause} from 'node:timers/promises';
import {z} from 'zod';
import {errnoOf} from '../errno.ts';
import type {ImageName} from '../core/image-name.ts';
import {indexTypes, manifestTypes} from '../core/manifest.ts';
import {parseChallenge} from '../core/challenge.ts';

type Credentials = z.infer<typeof RegistryCredentials>;

/** How registries are reached. */
export interface RegistrySettings {
  /** Registries (host and port) that are spoken to without TLS; no other ever is. */
  readonly plainHttp?: readonly string[];
  /** By registry: URLs that are asked before it, without its credentials. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
}

const TRIES = 5;
const RETRY_MS = 200;
const LONGEST_RETRY_MS = 10_000;
/** A registry that sends nothing for so long is given up. */
const SILENCE_MS = 60_000;
const LARGEST_DOCUMENT = 8 * 2 ** 20;

const Token = z.object({token: z.string().optional(), access_token: z.string().optional()});

/** One image's repository at one place: the registry, or a mirror of it. */
export class Repository {
  readonly #base: string;
  readonly #image: ImageName;
  readonly #credentials: Credentials | undefined;
  readonly #signal: AbortSignal;
  #authorization: Promise<string | undefined> | undefined;

  constructor(base: string, image: ImageName, credentials: Credentials | undefined, signal: AbortSignal) {
    this.#base = base.replace(/\/$/, '');
    this.#image = image;
    this.#credentials = credentials;
    this.#signal = signal;
  }

  /** @throws `image-not-found`, `image-unauthorized`, `image-pull-failed` */
  async manifest(reference: string): Promise<{readonly bytes: Buffer; readonly mediaType: string}> {
    const response = await this.#ask(`manifests/${reference}`, {accept: [...manifestTypes, ...indexTypes].join(', ')});
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of bodyOf(response, this.#signal)) {
      length += part.length;
      if (length > LARGEST_DOCUMENT) throw this.#failed('its manifest is larger than any image needs');
      parts.push(part);
    }
    return {bytes: Buffer.concat(parts), mediaType: response.headers.get('content-type')?.split(';')[0] ?? ''};
  }

  /** From an offset to the end, over as many connections as that takes. @param size bytes */
  async *blob(digest: string, size: number, from: number): AsyncGenerator<Uint8Array> {
    let offset = from;
    for (let tries = 0; ; ) {
      let begun = offset;
      try {
        const response = await this.#ask(`blobs/${digest}`, offset > 0 ? {range: `bytes=${offset}-`} : {});
        // A registry without ranges sends the whole again.
        let skip = offset > 0 && response.status !== 206 ? offset : 0;
        for await (const part of bodyOf(response, this.#signal)) {
          const rest = part.subarray(Math.min(skip, part.length));
          skip -= part.length - rest.length;
          if (rest.length === 0) continue;
          offset += rest.length;
          if (offset > size) throw this.#failed(`the layer ${digest} is longer than its manifest says`);
          yield rest;
        }
        if (offset === size) return;
        throw new Error('the connection ended early');
      } catch (error) {
        this.#signal.throwIfAborted();
        if (errnoOf(error)?.startsWith('image-')) throw error;
        // As long as something comes through it is worth going on.
        tries = offset > begun ? 1 : tries + 1;
        begun = offset;
        if (tries >= TRIES) throw this.#failed(`the layer ${digest} broke off at ${offset} of ${size} bytes (${reasonOf(error)})`, error);
        await pause(RETRY_MS * tries, undefined, {signal: this.#signal});
      }
    }
  }

  /** Asks again where the registry is busy, and with proof where it wants it. */
  async #ask(what: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    let proven = false;
    for (let tries = 1; ; tries++) {
      let response: Response;
      try {
        const authorization = await this.#authorization;
        response = await fetch(`${this.#base}/v2/${this.#image.repository}/${what}`, {headers: {...headers, ...(authorization === undefined ? {} : {authorization})}, signal: this.#signal});
      } catch (error) {
        this.#signal.throwIfAborted();
        if (errnoOf(error)?.startsWith('image-')) throw error;
        if (isFinal(error) || tries >= TRIES) throw this.#failed(reasonOf(error), error);
        await pause(RETRY_MS * tries, undefined, {signal: this.#signal});
        continue;
      }
      if (response.ok) return response;
      const said = await wordsOf(response);
      if (response.status === 401 && !proven) {
        proven = true;
        this.#authorization = this.#prove(response.headers.get('www-authenticate') ?? '');
        await this.#authorization;
        continue;
      }
      if (response.status === 401 || response.status === 403) throw this.#refused(said);
      if (response.status === 404) throw runtimeErrors['image-not-found'](`The image ${this.#image.full} does not exist, or asks for credentials: ${said}.`);
      if ((response.status !== 429 && response.status < 500) || tries >= TRIES) throw this.#failed(`the registry answers ${response.status}: ${said}`);
      await pause(Math.min(retryAfter(response) ?? RETRY_MS * 2 ** tries, LONGEST_RETRY_MS), undefined, {signal: this.#signal});
    }
  }

  /** What to show, by the registry's challenge. */
  async #prove(header: string): Promise<string | undefined> {
    const challenge = parseChallenge(header);
    const basic = this.#credentials && `Basic ${Buffer.from(`${this.#credentials.username}:${this.#credentials.password}`).toString('base64')}`;
    if (challenge?.scheme === 'basic') {
      if (basic === undefined) throw this.#refused('it asks for a name and password');
      return basic;
    }
    const {realm, service, scope = `repository:${this.#image.repository}:pull`} = challenge?.parameters ?? {};
    if (challenge?.scheme !== 'bearer' || realm === undefined || !URL.canParse(realm)) throw this.#refused(`it asks for a proof that is not known here: ${header}`);
    const url = new URL(realm);
    // A password goes nowhere in the clear that the registry itself is not spoken to in the clear.
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#base.startsWith('http:'))) throw this.#refused(`it sends for a token to ${url.origin}, which is not safe`);
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    const response = await fetch(url, {headers: basic === undefined ? {} : {authorization: basic}, signal: this.#signal});
    if (response.status === 401 || response.status === 403) throw this.#refused(await wordsOf(response));
    if (!response.ok) throw this.#failed(`${url.origin} gives no token: ${response.status} ${await wordsOf(response)}`);
    const {token, access_token: access} = Token.parse(await response.json());
    return `Bearer ${token ?? access ?? ''}`;
  }

  #refused(why: string): Error {
    return runtimeErrors['image-unauthorized'](`The registry refused to give ${this.#image.full}: ${why}. Check the credentials (pull.secret).`);
  }

  #failed(why: string, cause?: unknown): Error {
    return runtimeErrors['image-pull-failed'](`The image ${this.#image.full} could not be pulled from ${this.#base}: ${why}.`, {cause});
  }
}

/** Mirrors first, then the registry. */
export function repositoriesOf(image: ImageName, credentials: Credentials | undefined, {plainHttp = [], mirrors = {}}: RegistrySettings, signal: AbortSignal): readonly Repository[] {
  const host = image.registry === 'docker.io' ? 'registry-1.docker.io' : image.registry;
  const base = `${plainHttp.includes(image.registry) ? 'http' : 'https'}://${host}`;
  return [...(mirrors[image.registry] ?? []).map((mirror) => new Repository(mirror, image, undefined, signal)), new Repository(base, image, credentials, signal)];
}

async function* bodyOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    while (true) {
      const silence = new AbortController();
      const late = pause(SILENCE_MS, undefined, {signal: AbortSignal.any([signal, silence.signal])}).then(() => {
        throw new Error(`nothing came for ${SILENCE_MS / 1000} s`);
      });
      late.catch(() => undefined);
      const {value, done} = await Promise.race([reader.read(), late]).finally(() => silence.abort());
      if (done) return;
      if (value !== undefined) yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function wordsOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  const parsed = z.object({errors: z.array(z.object({message: z.string().optional(), code: z.string().optional()})).min(1)}).safeParse(jsonOf(text));
  const [first] = parsed.success ? parsed.data.errors : [];
  return (first?.message ?? first?.code ?? response.statusText) || `status ${response.status}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function isFinal(error: unknown): boolean {
  return /^(CERT|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_VERIFY)/.test(errnoOf(causeOf(error)) ?? '');
}

/** undici puts the reason into the cause. */
function reasonOf(error: unknown): string {
  const cause = causeOf(error);
  if (cause !== undefined) return reasonOf(cause);
  const message: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'message') : undefined;
  return typeof message === 'string' && message !== '' ? message : errnoOf(error) ?? String(error);
}

function causeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'cause') : undefined;
}
