/**
 * Who joined, by which key; and whose key is void. A machine's identity goes with its record in `nodes`, and its key is void
 * from that transaction on; the servers of the bus are told until they have heard.
 */
import {collections, type JoinTokenRecord, type NodeIdentityRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {collection, commit, type Compare, type Stored, type Write} from '@hivemind/store';
import {joinErrors} from './join-errors.ts';
import {joinTokens} from './join-tokens.ts';
import {nodeLeases as leases, nodes} from './tables.ts';

export const identities = collection(collections.nodeIdentities);
export const revocations = collection(collections.busRevocations);

export const REVOCATIONS_KEY = 'account';
/** Longer than any credentials live: what was issued before has run out by itself. */
const KEEP_REVOKED_S = 86_400;
/** Services' clocks differ: what one of them issues by a clock that is this much ahead is void too. */
const CLOCK_SKEW_S = 900;

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
    const identity: NodeIdentityRecord = {name, nkey, sealKey, labels, joinedAt: new Date(now()).toISOString(), token: token.key};
    await commit(store, {
      compare: [joinTokens.unchanged(token), identities.absent(name), nodes.absent(name)],
      writes: [identities.putting(name, identity), joinTokens.putting(token.key, {...token.value, usedBy: [...usedBy, name]}, {previous: token})],
    });
    return identity;
  }

  /** Puts back an identity that the store has lost. Not one of a key that is void. */
  async restore({name, nkey, sealKey}: Pick<NodeIdentityRecord, 'name' | 'nkey' | 'sealKey'>): Promise<void> {
    const {store, now} = this.#context;
    const [known, voided] = await Promise.all([identities.in(store).get(name), revocations.in(store).get(REVOCATIONS_KEY)]);
    if (known || voided?.value.revoked[nkey] !== undefined) return;
    const identity = {name, nkey, sealKey, labels: {}, joinedAt: new Date(now()).toISOString(), token: ''};
    const compare = [identities.absent(name), voided ? revocations.unchanged(voided) : revocations.absent(REVOCATIONS_KEY)];
    // Somebody else's change makes it none: the machine asks again.
    await store.transact({compare, writes: [identities.putting(name, identity)]});
  }

  /** @throws `node-removed` 403 */
  async get(name: string): Promise<NodeIdentityRecord> {
    const identity = await identities.in(this.#context.store).get(name);
    if (!identity) throw removed(name);
    return identity.value;
  }

  /**
   * Whether a machine that speaks as `name` may be a node: it joined, or never had to (it is of the control plane's process).
   * @throws `node-removed` 403
   */
  async check(name: string): Promise<void> {
    const {store} = this.#context;
    const [identity, voided] = await Promise.all([identities.in(store).get(name), revocations.in(store).get(REVOCATIONS_KEY)]);
    if (!identity && Object.values(voided?.value.revoked ?? {}).some(({node}) => node === name)) throw removed(name);
  }

  /** What a transaction that removes a node also does: its identity goes, and its key is void. */
  async revocation(name: string): Promise<{readonly compare: readonly Compare[]; readonly writes: readonly Write[]}> {
    const {store, now} = this.#context;
    const [identity, voided] = await Promise.all([identities.in(store).get(name), revocations.in(store).get(REVOCATIONS_KEY)]);
    if (!identity) return {compare: [identities.absent(name)], writes: []};
    const second = Math.floor(now() / 1000);
    const recent = Object.entries(voided?.value.revoked ?? {}).filter(([, {until}]) => until > second - KEEP_REVOKED_S);
    const next = {issuedAt: Math.max(second, (voided?.value.issuedAt ?? 0) + 1), revoked: {...Object.fromEntries(recent), [identity.value.nkey]: {node: name, until: second + CLOCK_SKEW_S}}};
    return {
      compare: [identities.unchanged(identity), voided ? revocations.unchanged(voided) : revocations.absent(REVOCATIONS_KEY)],
      writes: [identities.deleting(name), revocations.putting(REVOCATIONS_KEY, next, {previous: voided})],
    };
  }
}

function removed(name: string): Error {
  return joinErrors['node-removed'](`Node ${name} was removed from this cluster, or never joined it. To join again, run on the machine what hivemind node join-token prints.`);
}
