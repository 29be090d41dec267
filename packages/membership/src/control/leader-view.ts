/** Who leads, as this process knows it now: by the store, by what was heard while the store is away, or provisionally. */
import {isError, type Leader, type LeaderChanged, type LeaderRecord} from '@hivemind/contracts';
import type {Store} from '@hivemind/store';
import {membershipErrors} from '../errors.ts';
import {provisionalLeader} from '../model.ts';
import {ELECTION, LEADER_KEY} from './lead.ts';
import type {Tables} from './tables.ts';

export interface LeaderView {
  heard(leader: LeaderChanged): void;
  /** @throws `no-leader` 503 */
  current(): Promise<Leader>;
}

export interface LeaderViewOptions {
  readonly store: Pick<Store, 'leader'>;
  readonly tables: Pick<Tables, 'leader' | 'members'>;
  /** Monotonic ms. */
  readonly monotonic: () => number;
}

const RETRY_AFTER_MS = 1_000;

export function createLeaderView({store, tables, monotonic}: LeaderViewOptions): LeaderView {
  let last: {readonly leader: LeaderChanged; readonly at: number} | undefined;

  const held = async (): Promise<LeaderRecord | undefined> => {
    try {
      const leadership = await store.leader(ELECTION);
      const record = tables.leader.get(LEADER_KEY)?.value;
      return leadership && record?.revision.n === leadership.revision ? record : undefined;
    } catch (error) {
      if (!isError(error, 'unavailable')) throw error;
      return last && monotonic() - last.at < last.leader.leaseMs ? last.leader : undefined;
    }
  };

  return {
    heard: (leader) => void (last = {leader, at: monotonic()}),
    async current() {
      const leader = await held();
      if (leader) {
        const {name, node, since, revision} = leader;
        return {name, ...(node === undefined ? {} : {node}), since, revision, provisional: false};
      }
      const name = provisionalLeader(tables.members.list().map(({value}) => value));
      if (name !== undefined) return {name, node: name, provisional: true};
      throw membershipErrors['no-leader']('Nobody leads at the moment: an election takes a few seconds.', {retryAfterMs: RETRY_AFTER_MS});
    },
  };
}
