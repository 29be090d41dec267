/** The ring, as other packages may know it. */
export type {Address, LifeState} from './core/messages.ts';
export type {Metadata} from './core/metadata.ts';
export type {Announcement, KeyringControl, Member, MemberEvent, MemberInfo, MemberStatistics} from './node/member.ts';
export {membershipErrors} from './errors.ts';
