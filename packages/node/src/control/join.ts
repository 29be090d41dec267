/**
 * How machines come in and stay: tokens, the join itself, credentials of the bus renewed again and again, and revoked when
 * the machine is removed. Where the bus is inside the process there is nothing to join.
 */
import {pushAccount, serve, type Subscription} from '@hivemind/bus';
import {type BusRevocationsRecord, type CredentialsReply, type CredentialsRequest, credentialsChallenge, commonErrors, isError, type JoinReply, type JoinRequest} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import {authorityHash, type ClusterTrust, isSignedBy, isUserKey, openClusterTrust, parseJoinToken} from '@hivemind/trust';
import {joinErrors} from './join-errors.ts';
import {Identities} from './join-identities.ts';
import {Revoker} from './join-revoker.ts';
import {JoinTokens} from './join-tokens.ts';
import type {Tables} from './tables.ts';

export interface JoinOptions {
  readonly context: ManagerContext;
  readonly tables: Pick<Tables, 'members'>;
  /** How long a machine's credentials are valid, ms; default one hour. */
  readonly credentialsMs?: number;
}

const CREDENTIALS_MS = 3_600_000;
/** By which a machine's clock may differ. */
const CLOCK_SKEW_MS = 900_000;
const MOST_SEEDS = 5;
const RACES = 8;

export class Join {
  readonly tokens: JoinTokens;
  readonly #options: JoinOptions;
  readonly #identities: Identities;
  readonly #revoker: Revoker;
  #trust: Promise<ClusterTrust> | undefined;
  #subscription: Subscription | undefined;

  constructor(options: JoinOptions) {
    const {context} = options;
    this.#options = options;
    this.tokens = new JoinTokens(context);
    this.#identities = new Identities(context);
    this.#revoker = new Revoker({context, push: (claims) => this.#push(claims)});
  }

  async start(): Promise<void> {
    const {bus} = this.#options.context;
    this.#subscription = await serve(bus, subjects.renewCredentials, {}, async ({jwt: had, sealKey}, {tokens: {node}}) => {
      const {nkey} = await this.#known(node, had, sealKey);
      const {busJwt: jwt, busValidMs: validMs} = await this.#access(node, nkey);
      return {jwt, validMs};
    }, {queue: 'node'});
    if (this.#isOffered) await this.#revoker.start();
  }

  async stop(): Promise<void> {
    await this.#subscription?.unsubscribe();
    await this.#revoker.stop();
  }

  /** See `Identities.check`. */
  check(name: string): Promise<void> {
    return this.#identities.check(name);
  }

  /** See `Identities.revocation`. */
  revocation(name: string): ReturnType<Identities['revocation']> {
    return this.#identities.revocation(name);
  }

  /** @throws `join-not-offered` 409 */
  async authority(): Promise<{readonly ca: string; readonly hash: string}> {
    const {authority: {certificate}} = await this.#opened();
    return {ca: certificate, hash: authorityHash(certificate)};
  }

  /**
   * @throws `join-token-malformed` 422; `join-other-cluster`, `join-token-invalid`, `join-token-expired`, `join-token-used`,
   * `node-removed` 403; `node-name-taken`, `join-not-offered` 409; `invalid-input` 422
   */
  async join({token: text, name, nkey, sealKey, cluster: former}: JoinRequest): Promise<JoinReply> {
    const {cluster} = this.#options.context;
    const {hash} = await this.authority();
    const parts = parseJoinToken(text);
    if (parts.authorityHash !== hash) throw joinErrors['join-other-cluster']('This token is of another cluster. Make one here with hivemind node join-token.');
    if (!isUserKey(nkey)) throw commonErrors['invalid-input']('The key of the machine is no user key of NATS.', {errors: [{path: 'nkey', message: 'is not an nkey: U and 55 letters and digits'}]});
    const token = await this.tokens.find(parts);
    // Only to whoever holds a token of this cluster.
    if (former !== undefined && former !== cluster) throw joinErrors['join-other-cluster'](`This machine's data dir is of cluster ${former}, and this is ${cluster}. Give it another --data-dir.`);
    const identity = await this.#claim({name, nkey, sealKey, token}, () => this.tokens.find(parts));
    const {gossipKey} = await this.#opened();
    return {...(await this.#access(name, nkey)), cluster, name, labels: identity.labels, gossipSeeds: this.#seeds(), gossipKey};
  }

  /** @throws `node-removed`, `signature-invalid`, `clock-apart` 403 */
  async renew(name: string, {time, signature, jwt, sealKey}: CredentialsRequest): Promise<CredentialsReply> {
    const {cluster, now} = this.#options.context;
    const {nkey} = await this.#known(name, jwt, sealKey);
    if (!isSignedBy(nkey, credentialsChallenge(cluster, name, time), signature)) throw joinErrors['signature-invalid'](`This is not signed by the key that node ${name} joined with.`);
    const apart = Math.abs(Date.parse(time) - now());
    if (apart > CLOCK_SKEW_MS) throw joinErrors['clock-apart'](`The machine's clock is ${Math.round(apart / 60_000)} minutes from this one's: set it right (NTP).`);
    return this.#access(name, nkey);
  }

  /** A machine with credentials that are good was let in before the store was emptied: it is known again by them. */
  async #known(name: string, jwt = '', sealKey = ''): Promise<{readonly nkey: string}> {
    if (this.#isOffered) {
      const {bus} = await this.#opened();
      const had = bus.nodeOf(jwt, this.#options.context.now());
      if (had?.name === name) await this.#identities.restore({name, nkey: had.nkey, sealKey});
    }
    return this.#identities.get(name);
  }

  async #claim(claim: Parameters<Identities['claim']>[0], again: () => Promise<typeof claim.token>) {
    for (let race = 1, {token} = claim; ; race++, token = await again()) {
      try {
        return await this.#identities.claim({...claim, token});
      } catch (error) {
        const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
        if (!lost || race === RACES) throw error;
      }
    }
  }

  async #access(name: string, nkey: string): Promise<CredentialsReply> {
    const {context: {now, busUrls = []}, credentialsMs = CREDENTIALS_MS} = this.#options;
    const {authority, bus} = await this.#opened();
    const {jwt} = bus.nodeJwt({name, nkey, now: now(), ttlMs: credentialsMs});
    return {ca: authority.certificate, busUrls: [...busUrls], busJwt: jwt, busValidMs: credentialsMs};
  }

  #seeds(): string[] {
    return this.#options.tables.members.list().filter(({value}) => value.state === 'alive').slice(0, MOST_SEEDS).map(({value}) => value.address);
  }

  get #isOffered(): boolean {
    const {busUrls, clusterKey} = this.#options.context;
    return busUrls !== undefined && busUrls.length > 0 && clusterKey !== undefined;
  }

  #opened(): Promise<ClusterTrust> {
    const {store, cluster, now, clusterKey} = this.#options.context;
    if (!this.#isOffered || !clusterKey) throw joinErrors['join-not-offered']('The bus of this Hivemind is inside its process, where no other machine reaches it. Start it with --advertise IP to take further machines.');
    this.#trust ??= clusterKey().then((key) => openClusterTrust({store, clusterKey: key, cluster, now: now()}));
    this.#trust.catch(() => (this.#trust = undefined));
    return this.#trust;
  }

  async #push({issuedAt, revoked}: BusRevocationsRecord): Promise<void> {
    const {now, instance, busUrls = []} = this.#options.context;
    const {authority, bus} = await this.#opened();
    await pushAccount({
      servers: [...busUrls],
      credentials: bus.systemCredentials({name: `${instance} claims`, now: now(), ttlMs: 60_000}),
      jwt: bus.accountJwt(Object.fromEntries(Object.entries(revoked).map(([nkey, {until}]) => [nkey, until])), issuedAt),
      ...(busUrls.some((url) => url.startsWith('tls:')) ? {tls: {ca: authority.certificate}} : {}),
    });
  }
}

