/** Hears of a ring from the beginning. */
import type {Member, MemberEvent, MemberInfo} from '@hivemind/membership/model';

export interface MemberListener {
  /** What there is now: first of all, and again after changes may have been missed. */
  whole(members: readonly MemberInfo[]): void;
  changed(event: MemberEvent): void;
}

/** Tells the whole before it returns, then each change, none of them lost in between. Answers how to stop. */
export function listenToMember(member: Pick<Member, 'members' | 'onEvent'>, listener: MemberListener): () => void {
  listener.whole(member.members());
  return member.onEvent((event) => listener.changed(event));
}
