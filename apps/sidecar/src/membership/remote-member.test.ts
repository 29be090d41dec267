import {membershipErrors, type Announcement, type Member, type MemberEvent, type MemberInfo} from '@hivemind/membership/model';
import {waitFor} from '@hivemind/testkit';
import {MessageChannel, type MessagePort} from 'node:worker_threads';
import {RemoteMember} from './remote-member.ts';
import {serveMember} from './serve-member.ts';

const info = (name: string, state: MemberInfo['state'] = 'alive'): MemberInfo => ({name, state, address: {host: '10.0.0.1', port: 7946}, incarnation: 1, since: 0});

/** A member whose ring the test moves. */
class FakeMember implements Member {
  readonly name = 'a';
  readonly address = {host: '127.0.0.1', port: 7946};
  ring: MemberInfo[] = [info('a')];
  readonly #listeners = new Set<(event: MemberEvent) => void>();

  change(type: MemberEvent['type'], member: MemberInfo): void {
    this.ring = [...this.ring.filter(({name}) => name !== member.name), member];
    for (const listener of this.#listeners) listener({type, member});
  }
  members = () => this.ring;
  onEvent = (listener: (event: MemberEvent) => void) => (this.#listeners.add(listener), () => void this.#listeners.delete(listener));
  announce = (): void => undefined;
  announcements = (): readonly Announcement[] => [];
  onAnnouncement = () => () => undefined;
  setMetadata = (): void => undefined;
  join = async (): Promise<number> => {
    throw membershipErrors['join-failed']('none of 1 answered');
  };
  leave = async (): Promise<void> => undefined;
  close = async (): Promise<void> => undefined;
  statistics = () => ({health: 0, members: {alive: 1, suspect: 0, dead: 0, left: 0}, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0, dropped: {}, probes: 0, probeFailures: 0, pushPulls: 0});
}

describe('a member on another thread', () => {
  const ports: MessagePort[] = [];
  let remote: RemoteMember;
  let fake: FakeMember;

  /** A thread of membership, but for the thread. */
  async function startThread(): Promise<void> {
    const {port1, port2} = new MessageChannel();
    ports.push(port1, port2);
    const listening = remote.attach(port2, () => undefined);
    serveMember(fake, port1);
    expect(await listening).toEqual(fake.address);
  }

  beforeEach(async () => {
    remote = new RemoteMember('a');
    fake = new FakeMember();
    await startThread();
  });
  afterEach(() => {
    for (const port of ports.splice(0)) port.close();
  });

  function watch(): string[] {
    const told: string[] = [];
    remote.listen({whole: (members) => told.push(`whole ${members.map(({name, state}) => `${name}:${state}`).join(' ')}`), changed: ({type, member}) => told.push(`${member.name} ${type}`)});
    return told;
  }

  it('answers, and refuses with the error it was refused with', async () => {
    expect(await remote.ask('members')).toEqual([info('a')]);
    await expect(remote.ask('join', [])).rejects.toMatchObject({code: 'join-failed', status: 503});
    await expect(remote.ask('keys')).rejects.toMatchObject({code: 'no-keyring', status: 409});
  });

  it('tells the whole, and then each change, none of them lost in between', async () => {
    const told = watch();
    fake.change('joined', info('b'));
    await waitFor(() => told.length > 0, {what: 'the whole'});
    fake.change('died', info('b', 'dead'));
    await waitFor(() => told.includes('b died'), {what: 'the death'});
    expect(told).toEqual(['whole a:alive b:alive', 'b died']);
  });

  it('tells the whole anew when its thread was started again, and refuses questions meanwhile', async () => {
    const told = watch();
    await waitFor(() => told.length === 1, {what: 'the whole'});
    remote.detach();
    await expect(remote.ask('members')).rejects.toMatchObject({code: 'tenant-down', status: 503});
    const late = watch();
    fake = new FakeMember();
    fake.ring.push(info('c'));
    await startThread();
    await waitFor(() => told.length === 2 && late.length === 1, {what: 'the whole again'});
    expect([told[1], late[0]]).toEqual(['whole a:alive c:alive', 'whole a:alive c:alive']);
  });

  it('leaves no question unanswered when its thread ends', async () => {
    const waiting = remote.ask('members');
    remote.detach();
    await expect(waiting).rejects.toMatchObject({code: 'tenant-down'});
  });

  it('is silent to whoever stopped listening, also before the first whole', async () => {
    const told: string[] = [];
    const stop = remote.listen({whole: () => told.push('whole'), changed: () => told.push('changed')});
    stop();
    await remote.ask('members');
    fake.change('joined', info('b'));
    await remote.ask('members');
    expect(told).toEqual([]);
  });
});
