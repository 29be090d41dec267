/** Members of a test's ring, stopped at its end. */
import {waitFor} from '@hivemind/testkit';
import pino from 'pino';
import {type Address, type Member, type MemberEvent, startMember} from '../../src/node/index.ts';
import type {MemberOptions} from '../../src/node/options.ts';

export const loopback: Address = {host: '127.0.0.1', port: 0};
/** Test machines stand still for longer than the default takes for alive. How fast death is noticed is the bench's matter. */
export const patient = {suspicionMultiplier: 4};

export interface Watched {
  readonly member: Member;
  readonly events: MemberEvent[];
}

const running = new Set<Member>();

export async function start(options: Partial<MemberOptions> & {readonly name: string}): Promise<Watched> {
  const member = await startMember({bind: loopback, config: patient, logger: pino({level: 'silent'}), ...options});
  running.add(member);
  const events: MemberEvent[] = [];
  member.onEvent((event) => events.push(event));
  return {member, events};
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((member) => member.close()));
  running.clear();
}

/** `name state` of all that a member sees, sorted. */
export function seen(member: Member): string[] {
  return member.members().map(({name, state}) => `${name} ${state}`).sort();
}

/** Waits until each sees exactly these. */
export async function allSee(watched: readonly Watched[], expected: readonly string[]): Promise<void> {
  const wanted = [...expected].sort().join(', ');
  await waitFor(() => {
    const other = watched.find(({member}) => seen(member).join(', ') !== wanted);
    if (other) throw new Error(`${other.member.name} sees ${seen(other.member).join(', ')}`);
    return true;
  }, {what: `all to see ${wanted}`, deadlineMs: 25_000});
}

export function diedOf(watched: readonly Watched[]): string[] {
  return [...new Set(watched.flatMap(({events}) => events.filter(({type}) => type === 'died').map(({member}) => member.name)))];
}
