/** A registry, by the OCI distribution protocol: manifests and blobs, with whatever proof it asks for. */
import type {IncomingMessage} from 'node:http';
import type {RegistryCredentials} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {setTimeout as pause} from 'node:timers/promises';
import * as z from 'zod';
import {errnoOf} from '../errno.ts';
import type {ImageName} from '../../../core/image-name.ts';
import {indexTypes, manifestTypes} from '../core/manifest.ts';
import {parseChallenge} from '../core/challenge.ts';
import {retryAfterMs} from '../core/retry-after.ts';
import {bodyOf, get, isMistrust, speaksNoTls} from './http.ts';

type Credentials = z.infer<typeof RegistryCredentials>;

/** How one registry is reached. */
export interface RegistryAccess {
  /** It is spoken to without TLS; no other ever is. */
  readonly plainHttp?: boolean;
  /** Certificates (PEM) of the authority that it is believed by, in place of the well-known ones. */
  readonly authority?: string;
  /** For images that bring no credentials of their own. */
  readonly credentials?: Credentials;
  /** URLs that are asked before it, each as what is said of its own host. */
  readonly mirrors?: readonly string[];
}

/** By host and port, as images name them; Docker Hub is `docker.io`. */
export type RegistrySettings = Readonly<Record<string, RegistryAccess>>;

const TRIES = 5;
const RETRY_MS = 200;
const LONGEST_RETRY_MS = 10_000;
const LARGEST_DOCUMENT = 8 * 2 ** 20;
/** Of what a registry says when it refuses. */
const LARGEST_WORDS = 64 * 1024;

const Token = z.object({token: z.string().optional(), access_token: z.string().optional()});

export interface RepositoryOptions {
  /** As in `https://registry.example`. */
  readonly base: string;
  readonly image: ImageName;
  readonly credentials: Credentials | undefined;
  readonly settings: RegistrySettings;
  readonly signal: AbortSignal;
}

/** One image's repository at one place: the registry, or a mirror of it. */
export class Repository {
  readonly #options: RepositoryOptions;
  readonly #base: string;
  #authorization: Promise<string | undefined> | undefined;

  constructor(options: RepositoryOptions) {
    this.#options = options;
    this.#base = options.base.replace(/\/$/, '');
  }

  /** @throws `image-not-found`, `image-unauthorized`, `image-pull-failed` */
  async manifest(reference: string): Promise<{readonly bytes: Buffer; readonly mediaType: string}> {
    for (let tries = 1; ; tries++) {
      const response = await this.#ask(`manifests/${reference}`, {accept: [...manifestTypes, ...indexTypes].join(', ')});
      try {
        return {bytes: await bodyOf(response, LARGEST_DOCUMENT), mediaType: response.headers['content-type']?.split(';')[0] ?? ''};
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (error instanceof RangeError) throw this.#failed('its manifest is larger than any image needs');
        if (tries >= TRIES) throw this.#failed(reasonOf(error), error);
        await pause(RETRY_MS * tries, undefined, {signal: this.#options.signal});
      }
    }
  }

  /** From an offset to the end, over as many connections as that takes. @param size bytes */
  async *blob(digest: string, size: number, from: number): AsyncGenerator<Uint8Array> {
    const {signal} = this.#options;
    let offset = from;
    for (let tries = 0; ; ) {
      let begun = offset;
      try {
        const response = await this.#ask(`blobs/${digest}`, offset > 0 ? {range: `bytes=${offset}-`} : {});
        // A registry without ranges sends the whole again.
        let skip = offset > 0 && response.statusCode !== 206 ? offset : 0;
        for await (const part of response as AsyncIterable<Buffer>) {
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
        signal.throwIfAborted();
        if (errnoOf(error)?.startsWith('image-')) throw error;
        // As long as something comes through it is worth going on.
        tries = offset > begun ? 1 : tries + 1;
        begun = offset;
        if (tries >= TRIES) throw this.#failed(`the layer ${digest} broke off at ${offset} of ${size} bytes (${reasonOf(error)})`, error);
        await pause(RETRY_MS * tries, undefined, {signal});
      }
    }
  }

  /** Asks again where the registry is busy, and with proof where it wants it. */
  async #ask(what: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const {image, signal} = this.#options;
    let proven = false;
    for (let tries = 1; ; tries++) {
      let response: IncomingMessage;
      try {
        const authorization = await this.#authorization;
        response = await this.#get(new URL(`${this.#base}/v2/${image.repository}/${what}`), {...headers, ...(authorization === undefined ? {} : {authorization})});
      } catch (error) {
        signal.throwIfAborted();
        if (errnoOf(error)?.startsWith('image-')) throw error;
        if (isMistrust(error)) throw this.#failed(`its certificate is not believed (${reasonOf(error)}): name the authority with --registries`, error);
        if (speaksNoTls(error)) throw this.#failed('it does not speak TLS: if it is to be trusted all the same, name it with "plainHttp": true in the file of --registries', error);
        if (tries >= TRIES) throw this.#failed(reasonOf(error), error);
        await pause(RETRY_MS * tries, undefined, {signal});
        continue;
      }
      const {statusCode = 0} = response;
      if (statusCode >= 200 && statusCode < 300) return response;
      const said = await wordsOf(response);
      if (statusCode === 401 && !proven) {
        proven = true;
        this.#authorization = this.#prove(response.headers['www-authenticate'] ?? '');
        await this.#authorization;
        continue;
      }
      if (statusCode === 401 || statusCode === 403) throw this.#refused(said);
      if (statusCode === 404) throw runtimeErrors['image-not-found'](`The image ${image.full} does not exist, or asks for credentials: ${said}.`);
      if ((statusCode !== 429 && statusCode < 500) || tries >= TRIES) throw this.#failed(`the registry answers ${statusCode}: ${said}`);
      await pause(Math.min(retryAfterMs(response.headers) ?? RETRY_MS * 2 ** tries, LONGEST_RETRY_MS), undefined, {signal});
    }
  }

  /** What to show, by the registry's challenge. */
  async #prove(header: string): Promise<string | undefined> {
    const {credentials, image} = this.#options;
    const challenge = parseChallenge(header);
    const basic = credentials && `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
    if (challenge?.scheme === 'basic') {
      if (basic === undefined) throw this.#refused('it asks for a name and password');
      return basic;
    }
    const {realm, service, scope = `repository:${image.repository}:pull`} = challenge?.parameters ?? {};
    if (challenge?.scheme !== 'bearer' || realm === undefined || !URL.canParse(realm)) throw this.#refused(`it asks for a proof that is not known here: ${header}`);
    const url = new URL(realm);
    // A password goes nowhere in the clear that the registry itself is not spoken to in the clear.
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#base.startsWith('http:'))) throw this.#refused(`it sends for a token to ${url.origin}, which is not safe`);
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    const response = await this.#get(url, basic === undefined ? {} : {authorization: basic});
    const {statusCode = 0} = response;
    if (statusCode === 401 || statusCode === 403) throw this.#refused(await wordsOf(response));
    if (statusCode !== 200) throw this.#failed(`${url.origin} gives no token: ${statusCode} ${await wordsOf(response)}`);
    const {success, data} = Token.safeParse(jsonOf((await bodyOf(response, LARGEST_DOCUMENT)).toString('utf8')));
    if (!success) throw this.#failed(`${url.origin} gives no token, though it says that it does`);
    return `Bearer ${data.token ?? data.access_token ?? ''}`;
  }

  #get(url: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const {settings, signal} = this.#options;
    return get(url, {headers, signal, authorityOf: (host) => settings[registryAt(host)]?.authority});
  }

  #refused(why: string): Error {
    return runtimeErrors['image-unauthorized'](`The registry refused to give ${this.#options.image.full}: ${why}. Check the credentials (pull.secret).`);
  }

  #failed(why: string, cause?: unknown): Error {
    return runtimeErrors['image-pull-failed'](`The image ${this.#options.image.full} could not be pulled from ${this.#base}: ${why}.`, {cause});
  }
}

const HUB = {name: 'docker.io', host: 'registry-1.docker.io'};

/** Mirrors first, then the registry. What an image brings itself is shown to the registry alone. */
export function repositoriesOf(image: ImageName, credentials: Credentials | undefined, settings: RegistrySettings, signal: AbortSignal): readonly Repository[] {
  const access = settings[image.registry] ?? {};
  const base = `${access.plainHttp === true ? 'http' : 'https'}://${image.registry === HUB.name ? HUB.host : image.registry}`;
  const mirrors = (access.mirrors ?? []).map((mirror) => new Repository({base: mirror, image, credentials: settings[new URL(mirror).host]?.credentials, settings, signal}));
  return [...mirrors, new Repository({base, image, credentials: credentials ?? access.credentials, settings, signal})];
}

function registryAt(host: string): string {
  return host === HUB.host ? HUB.name : host;
}

async function wordsOf(response: IncomingMessage): Promise<string> {
  const text = await bodyOf(response, LARGEST_WORDS).then((bytes) => bytes.toString('utf8'), () => '');
  const parsed = z.object({errors: z.array(z.object({message: z.string().optional(), code: z.string().optional()})).min(1)}).safeParse(jsonOf(text));
  const [first] = parsed.success ? parsed.data.errors : [];
  return (first?.message ?? first?.code ?? response.statusMessage) || `status ${response.statusCode}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The cause where there is one: what is thrown above it says less. */
function reasonOf(error: unknown): string {
  const cause: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'cause') : undefined;
  if (cause !== undefined) return reasonOf(cause);
  const message: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'message') : undefined;
  return typeof message === 'string' && message !== '' ? message : errnoOf(error) ?? String(error);
}
