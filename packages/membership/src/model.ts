/** The ring, as other packages may know it. */
export type {Address, LifeState} from './core/messages.ts';
export type {Metadata} from './core/metadata.ts';
export type {Announcement, KeyringControl, Member, MemberEvent, MemberInfo, MemberStatistics} from './node/member.ts';
export {membershipErrors} from './errors.ts';

/** Who leads provisionally, while nobody is known to: the alive member of the lowest name, the same wherever the ring is seen the same. For display alone. */
export function provisionalLeader(ring: readonly {readonly name: string; readonly state: string}[]): string | undefined {
  const alive = ring.filter(({state}) => state === 'alive').map(({name}) => name);
  return alive.reduce<string | undefined>((lowest, name) => (lowest === undefined || name < lowest ? name : lowest), undefined);
}
