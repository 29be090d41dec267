/** The node half: one member of the ring, on real sockets. */
export type {Address, LifeState} from '../core/messages.ts';
export type {Metadata} from '../core/metadata.ts';
export type {Announcement, KeyringControl, Member, MemberEvent, MemberInfo, MemberStatistics} from './member.ts';
export type {MemberOptions} from './options.ts';
export {startMember} from './start.ts';
