/** What the thread of membership and the main one say to each other. Both are of one release: nothing here is parsed. */
import type {Address, Announcement, MemberEvent, MemberInfo, MemberStatistics} from '@hivemind/membership/model';
import type {MemberOptions} from '@hivemind/membership/node';
import type {ThrownError} from '../errors.ts';

/** What the thread is started with. */
export type MembershipSettings = Omit<MemberOptions, 'logger'>;

/** Every question, with its answer. */
export interface Questions {
  members: {ask: undefined; answer: readonly MemberInfo[]};
  announcements: {ask: undefined; answer: readonly Announcement[]};
  announce: {ask: Announcement; answer: void};
  join: {ask: readonly Address[]; answer: number};
  leave: {ask: undefined; answer: void};
  statistics: {ask: undefined; answer: MemberStatistics};
  keys: {ask: undefined; answer: readonly string[]};
  installKey: {ask: Uint8Array; answer: readonly string[]};
  useKey: {ask: string; answer: readonly string[]};
  removeKey: {ask: string; answer: readonly string[]};
}
export type Question = keyof Questions;

export type ToThread = {[Q in Question]: {readonly id: number; readonly question: Q; readonly ask: Questions[Q]['ask']}}[Question];

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type FromThread =
  | {readonly kind: 'ready'; readonly address: Address}
  | {readonly kind: 'failed'; readonly error: ThrownError}
  | {readonly kind: 'answer'; readonly id: number; readonly value: unknown}
  | {readonly kind: 'refusal'; readonly id: number; readonly error: ThrownError}
  | {readonly kind: 'event'; readonly event: MemberEvent}
  | {readonly kind: 'announcement'; readonly announcement: Announcement}
  | {readonly kind: 'log'; readonly level: LogLevel; readonly fields: Readonly<Record<string, unknown>>; readonly text: string};
