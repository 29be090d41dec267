/**
 * The machine's credentials of the bus, renewed at half of their life: over the bus, or, where that is not reached (they ran
 * out while the machine was away), by a gateway, whom the machine's key convinces. Until one answers, it goes on alone.
 */
import {type Bus, call} from '@hivemind/bus';
import {credentialsChallenge, type HivemindError, isError} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {type Clock, systemClock} from '@hivemind/controller';
import {keyPairFromSeed, sign, type KeyPair} from '@hivemind/trust/node';
import type {Logger} from 'pino';
import {joiningErrors} from './join-errors.ts';
import {askForCredentials} from './join-http.ts';
import {type JoinedIdentity, writeIdentity} from './join-identity.ts';

export interface NodeCredentialsOptions {
  readonly identity: JoinedIdentity;
  readonly dataDir: string;
  readonly clock?: Clock;
  readonly logger: Logger;
}

/** Share of their life after which they are renewed. */
const RENEW_AFTER = 1 / 2;
/** Of the life: how soon a renewal that failed is tried again; within these bounds, ms. */
const RETRY_AFTER = 1 / 60;
const RETRY_MS = {least: 200, most: 60_000};

export class NodeCredentials {
  readonly #dataDir: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #key: KeyPair;
  readonly #listeners = new Set<() => void>();
  #identity: JoinedIdentity;
  #bus: Bus | undefined;
  #cancel: (() => void) | undefined;
  #renewing: Promise<void> | undefined;
  readonly #removed = Promise.withResolvers<HivemindError>();
  #stopped = false;

  constructor({identity, dataDir, clock = systemClock, logger}: NodeCredentialsOptions) {
    const key = keyPairFromSeed(identity.nkeySeed);
    if (!key) throw joiningErrors['identity-damaged'](`The key in ${dataDir}/agent/identity.json is none.`);
    this.#identity = identity;
    this.#dataDir = dataDir;
    this.#clock = clock;
    this.#logger = logger.child({node: identity.name});
    this.#key = key;
  }

  current(): {readonly jwt: string; readonly seed: string} {
    return {jwt: this.#identity.membership.busJwt, seed: this.#identity.nkeySeed};
  }

  /** As of the last renewal. */
  get identity(): JoinedIdentity {
    return this.#identity;
  }

  onRenewed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * At a start: credentials that are half over, or all where `always`, are renewed before they are used. A control plane that
   * is away changes nothing.
   * @throws `node-removed` 403
   */
  async refresh(always: boolean): Promise<void> {
    if (!always && this.#dueInMs() > 0) return;
    try {
      await this.#renewByGateway();
    } catch (error) {
      if (isError(error, 'node-removed')) throw error;
      this.#logger.warn({err: error}, 'the credentials of the bus could not be renewed; this machine goes on with what it has');
    }
  }

  /**
   * Resolves when this machine is told that it was removed (`node-removed`), while these are kept fresh: they are renewed no more
   * then. Does not resolve otherwise.
   */
  get removed(): Promise<HivemindError> {
    return this.#removed.promise;
  }

  /** The bus refuses them: they ran out, or are void. A gateway knows which. */
  onRefused(): void {
    if (this.#renewing === undefined && this.#bus) this.#schedule(0);
  }

  /** Keeps them fresh from now on, over that bus where it is reached. */
  start(bus: Bus): void {
    this.#bus = bus;
    this.#schedule(this.#dueInMs());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#renewing;
  }

  /** ms until they are to be renewed. A clock that was set back makes it now. */
  #dueInMs(): number {
    const {receivedAt, busValidMs} = this.#identity.membership;
    const age = this.#clock.now() - Date.parse(receivedAt);
    return age < 0 ? 0 : Math.max(0, busValidMs * RENEW_AFTER - age);
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#cancel?.();
    this.#cancel = this.#clock.setTimer(() => {
      this.#renewing = this.#renew().then((nextMs) => {
        this.#renewing = undefined;
        if (nextMs !== undefined) this.#schedule(nextMs);
      });
    }, delayMs);
  }

  /** @returns ms until the next time; undefined: there is none */
  async #renew(): Promise<number | undefined> {
    try {
      await this.#renewByBus().catch((error: unknown) => (isError(error, 'node-removed') ? Promise.reject(error) : this.#renewByGateway()));
      return this.#dueInMs();
    } catch (err) {
      if (isError(err, 'node-removed')) {
        this.#stopped = true;
        this.#removed.resolve(err);
        return undefined;
      }
      const retryMs = Math.min(Math.max(this.#identity.membership.busValidMs * RETRY_AFTER, RETRY_MS.least), RETRY_MS.most);
      this.#logger.warn({err, retryMs}, 'the credentials of the bus could not be renewed; trying again');
      return retryMs;
    }
  }

  async #renewByBus(): Promise<void> {
    if (!this.#bus) throw joiningErrors['gateway-absent']('The bus is not connected.');
    const {jwt, validMs} = await call(this.#bus, subjects.renewCredentials, {node: this.#identity.name}, this.#had());
    await this.#take({busJwt: jwt, busValidMs: validMs});
  }

  async #renewByGateway(): Promise<void> {
    const {name, membership: {cluster, gateway, ca}} = this.#identity;
    const time = new Date(this.#clock.now()).toISOString();
    const {busJwt, busValidMs, busUrls} = await askForCredentials(gateway, ca, name, {time, signature: sign(this.#key, credentialsChallenge(cluster, name, time)), ...this.#had()});
    await this.#take({busJwt, busValidMs, busUrls});
  }

  /** By what a store that was emptied knows this machine again. */
  #had(): {readonly jwt: string; readonly sealKey: string} {
    return {jwt: this.#identity.membership.busJwt, sealKey: this.#identity.sealKey};
  }

  async #take(renewed: Partial<JoinedIdentity['membership']>): Promise<void> {
    const membership = {...this.#identity.membership, ...renewed, receivedAt: new Date(this.#clock.now()).toISOString()};
    this.#identity = {...this.#identity, membership};
    // They are good also where the disk is not.
    await writeIdentity(this.#dataDir, this.#identity).catch((err: unknown) => this.#logger.warn({err}, 'the identity could not be written'));
    for (const listener of this.#listeners) listener();
  }
}
