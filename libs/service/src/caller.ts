/**
 * Who is calling, as a gateway tells a service: a JWS (EdDSA) that lives for seconds and fits one request of one service.
 * Each gateway signs with a key of its own that never leaves its process; the public half is in its registration, so only
 * who may write the store can speak for callers.
 */
import {createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject} from 'node:crypto';
import {collections} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import * as z from 'zod';
import {serviceErrors} from './errors.ts';
import type {HttpServer} from './http.ts';

export const CALLER_HEADER = 'x-hivemind-caller';
/** ms that a signature holds. */
const LIFE_MS = 30_000;
/** ms by which the machines' clocks may differ. */
const CLOCK_SKEW_MS = 120_000;

const instances = collection(collections.serviceInstances);

/** Who asks, as the gateway knows them. */
export const Caller = z.object({name: z.string().min(1).max(253)});
export type Caller = z.infer<typeof Caller>;

const Claims = z.object({
  /** The gateway's instance. */
  iss: z.string(),
  sub: z.string(),
  /** The service that is asked. */
  aud: z.string(),
  /** ms since the epoch. */
  iat: z.number(),
  method: z.string(),
  /** Path and query. */
  url: z.string(),
});

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; undefined on open routes. */
    caller: Caller | undefined;
  }
}

export interface SignedRequest {
  readonly service: string;
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly caller: Caller;
}

export interface CallerSigner {
  /** For the gateway's registration. */
  readonly publicKey: string;
  /** The value of `x-hivemind-caller`. */
  sign(request: SignedRequest): string;
}

/** Signs as gateway `instance`, with a fresh key. */
export function createCallerSigner(instance: string, now: () => number): CallerSigner {
  const pair = generateKeyPairSync('ed25519', {publicKeyEncoding: {type: 'spki', format: 'der'}, privateKeyEncoding: {type: 'pkcs8', format: 'der'}});
  const privateKey = createPrivateKey({key: pair.privateKey, format: 'der', type: 'pkcs8'});
  const header = encode({alg: 'EdDSA', typ: 'JWT'});
  return {
    publicKey: pair.publicKey.toString('base64'),
    sign({service, method, url, caller}) {
      const signed = `${header}.${encode({iss: instance, sub: caller.name, aud: service, iat: now(), method, url})}`;
      return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
    },
  };
}

export interface CallerCheck {
  readonly store: Store;
  /** The service that checks: what was signed for another is refused. */
  readonly service: string;
  readonly now: () => number;
}

/** Refuses what no gateway of this cluster has signed, save to `open` routes and metrics; else `request.caller` says who asks. */
export function requireCaller(http: HttpServer, {store, service, now}: CallerCheck): void {
  /** By gateway instance. A key is of one start of a gateway and never changes. */
  const keys = new Map<string, KeyObject>();
  http.decorateRequest('caller', undefined);
  http.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open === true || request.routeOptions.url === '/metrics') return;
    const token = request.headers[CALLER_HEADER];
    if (typeof token !== 'string') throw serviceErrors['caller-unknown'](`The ${service} service answers to a gateway alone: ask one (hivemind service gateway).`);
    request.caller = await checkToken(token, {method: request.method, url: request.url});
  });

  async function checkToken(token: string, asked: {readonly method: string; readonly url: string}): Promise<Caller> {
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = readClaims(payload);
    const key = claims && (await keyOf(claims.iss));
    if (!key || !verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))) throw refused('no gateway of this cluster has signed it');
    if (claims.aud !== service || claims.method !== asked.method || claims.url !== asked.url) throw refused('it was signed for another request');
    const age = now() - claims.iat;
    if (age > LIFE_MS + CLOCK_SKEW_MS || age < -CLOCK_SKEW_MS) throw refused(`it was signed ${Math.round(age / 1000)} s ago by this machine's clock: set the clocks of gateway and service right`);
    return {name: claims.sub};
  }

  async function keyOf(instance: string): Promise<KeyObject | undefined> {
    const known = keys.get(instance);
    if (known) return known;
    const signingKey = (await instances.in(store).get(`gateway/${instance}`))?.value.signingKey;
    if (signingKey === undefined) return undefined;
    // Gateways that are gone for long leave their keys here: few, and of no use to anybody without the other half.
    if (keys.size >= 256) keys.clear();
    const key = createPublicKey({key: Buffer.from(signingKey, 'base64'), format: 'der', type: 'spki'});
    keys.set(instance, key);
    return key;
  }
}

const refused = (why: string) => serviceErrors['caller-unknown'](`The header ${CALLER_HEADER} does not say who is calling: ${why}.`);

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function readClaims(payload: string): z.infer<typeof Claims> | undefined {
  try {
    return Claims.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
