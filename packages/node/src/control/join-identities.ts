/**
 * Who joined, by which key; and whose key is void. A machine's identity goes with its record in `nodes`; its key is then
 * revoked in the same transaction, and the servers of the bus are told until they have heard.
 */
import {collections, isError, type JoinTokenRecord, type NodeIdentityRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {collection, commit, type Stored} from '@hivemind/store';
import {joinErrors} from './join-errors.ts';
import {joinTokens} from './join-tokens.ts';
import {nodeLeases as leases, nodes} from './tables.ts';

export const identities = collection(collections.nodeIdentities);
export const revocations = collection(collections.busRevocations);

export const REVOCATIONS_KEY = 'account';
/** Longer than any credentials live: what was issued before is void by itself. */
const KEEP_REVOKED_S = 86_400;
/** Services' clocks differ: what one of them issues by a clock that is this much ahead is void too. */
const CLOCK_SKEW_S = 900;
const RACES = 16;

export interface Claim {
  readonly name: string;
  readonly nkey: string;
  readonly sealKey: string;
  readonly token: Stored<JoinTokenRecord>;
}

export class Identities {
  readonly #context: Pick<ManagerContext, 'store' | 'now'>;

  constructor(context: Pick<ManagerContext, 'store' | 'now'>) {
    this.#context = context;
  }

  /**
   * Takes the name and one use of the token. The same machine asking again gets what it got: its first answer may be lost.
   * @throws `node-name-taken` 409, `join-token-used` 403, `version-mismatch` when the token was used or deleted meanwhile
   */
  async claim({name, nkey, sealKey, token}: Claim): Promise<NodeIdentityRecord> {
    const {store, now} = this.#context;
    const [known, node, lease, revoked] = await Promise.all([identities.in(store).get(name), nodes.in(store).get(name), leases.in(store).get(name), revocations.in(store).get(REVOCATIONS_KEY)]);
    if (known?.value.nkey === nkey) return known.value;
    if (revoked?.value.revoked[nkey] !== undefined) throw joinErrors['node-removed']('The machine with this key was removed from the cluster. To join again it needs a new key.');
    if (known ?? node) {
      const way = lease ? 'It is heard of now: give this machine another name with --name.' : `Give this machine another name with --name, or, if it takes the other's place, remove that first: hivemind node rm ${name}.`;
      throw joinErrors['node-name-taken'](`There is a node ${name} in this cluster. ${way}`, {errors: [{path: 'name', message: 'is taken by another machine'}]});
    }
    const {uses, usedBy, labels} = token.value;
    if (usedBy.length >= uses) throw joinErrors['join-token-used'](`This token was for ${uses === 1 ? 'one machine' : `${uses} machines`}, and is used up (${usedBy.slice(0, 5).join(', ')}). Make one with hivemind node join-token.`);
    const identity: NodeIdentityRecord = {name, nkey, sealKey, labels, joinedAt: new Date(now()).toISOString(), token: token.key, registered: false};
    await commit(store, {
      compare: [joinTokens.unchanged(token), identities.absent(name), nodes.absent(name)],
      writes: [identities.putting(name, identity), joinTokens.putting(token.key, {...token.value, usedBy: [...usedBy, name]}, {previous: token})],
    });
    return identity;
  }

  /** @throws `node-removed` 403 */
  async get(name: string): Promise<NodeIdentityRecord> {
    const identity = await identities.in(this.#context.store).get(name);
    if (!identity) throw joinErrors['node-removed'](`Node ${name} was removed from this cluster, or never joined it. To join again, run on the machine what hivemind node join-token prints.`);
    return identity.value;
  }

  async markRegistered(name: string): Promise<void> {
    await identities.in(this.#context.store).update(name, (identity) => (identity?.registered === false ? {...identity, registered: true} : identity));
  }

  /** Forgets the machine and voids its key. Nothing where it has no identity. */
  async revoke(name: string): Promise<void> {
    const {store} = this.#context;
    for (let race = 1; ; race++) {
      const [identity, revoked] = await Promise.all([identities.in(store).get(name), revocations.in(store).get(REVOCATIONS_KEY)]);
      if (!identity) return;
      const second = Math.floor(this.#context.now() / 1000);
      const issuedAt = Math.max(second, (revoked?.value.issuedAt ?? 0) + 1);
      const recent = Object.entries(revoked?.value.revoked ?? {}).filter(([, at]) => at > second - KEEP_REVOKED_S);
      const next = {issuedAt, revoked: {...Object.fromEntries(recent), [identity.value.nkey]: second + CLOCK_SKEW_S}};
      try {
        await commit(store, {
          compare: [identities.unchanged(identity), revoked ? revocations.unchanged(revoked) : revocations.absent(REVOCATIONS_KEY)],
          writes: [identities.deleting(name), revocations.putting(REVOCATIONS_KEY, next, {previous: revoked})],
        });
        return;
      } catch (error) {
        const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
        if (!lost || race === RACES) throw error;
      }
    }
  }
}
