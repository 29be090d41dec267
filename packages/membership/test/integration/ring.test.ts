import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import pino from 'pino';
import {killAll, memberProcess} from '../processes.ts';
import {allSee, diedOf, loopback, patient, seen, start, stopAll} from './members.ts';

const keyA = Buffer.alloc(16, 1);
const keyB = Buffer.alloc(32, 2);

afterEach(async () => {
  await stopAll();
  await killAll();
});

describe('a ring on loopback', () => {
  it('notices everywhere that a process was killed and that a member left, and takes nobody else for dead', async () => {
    const first = await start({name: 'm0'});
    const others = await Promise.all(Array.from({length: 29}, (_, n) => start({name: `m${n + 1}`, join: [first.member.address]})));
    const ring = [first, ...others];
    const children = await Promise.all(['p1', 'p2', 'p3'].map((name) => memberProcess({name, bind: loopback, join: [first.member.address], ...patient})));
    const names = [...ring.map(({member}) => member.name), 'p1', 'p2', 'p3'];
    await allSee(ring, names.map((name) => `${name} alive`));

    await children[0]?.child.kill();
    await allSee(ring, names.map((name) => (name === 'p1' ? 'p1 dead' : `${name} alive`)));
    for (const {child} of children.slice(1)) await child.line('the other processes to notice too', ({type, name}) => type === 'died' && name === 'p1');

    const leaver = others.at(-1);
    await leaver?.member.leave();
    const left = ring.filter((watched) => watched !== leaver);
    await allSee(left, names.map((name) => (name === 'p1' ? 'p1 dead' : name === 'm29' ? 'm29 left' : `${name} alive`)));
    expect(diedOf(ring)).toEqual(['p1']);
  }, 90_000);

  it('is told by a process that stood still that it lives, and is not accused by it', async () => {
    const a = await start({name: 'a'});
    const b = await start({name: 'b', join: [a.member.address]});
    const {child} = await memberProcess({name: 'p', bind: loopback, join: [a.member.address], ...patient});
    await allSee([a, b], ['a alive', 'b alive', 'p alive']);
    child.signal('SIGSTOP');
    await allSee([a, b], ['a alive', 'b alive', 'p dead']);
    child.signal('SIGCONT');
    await allSee([a, b], ['a alive', 'b alive', 'p alive']);
    expect(child.lines.filter(({type}) => type === 'died')).toEqual([]);
    expect(diedOf([a, b])).toEqual(['p']);
  }, 60_000);

  it('lets a member back that was away while the key was changed, once it has the new one', async () => {
    const a = await start({name: 'a', keys: [keyA]});
    const b = await start({name: 'b', keys: [keyA], join: [a.member.address]});
    const before = await start({name: 'c', keys: [keyA], join: [a.member.address]});
    await allSee([a, b, before], ['a alive', 'b alive', 'c alive']);
    await before.member.close();
    await allSee([a, b], ['a alive', 'b alive', 'c dead']);

    for (const {member} of [a, b]) member.keyring?.install(keyB);
    const [oldKey = '', newKey = ''] = a.member.keyring?.list() ?? [];
    for (const {member} of [a, b]) member.keyring?.use(newKey);
    for (const {member} of [a, b]) member.keyring?.remove(oldKey);
    const c = await start({name: 'c', bind: before.member.address, keys: [keyA], join: [a.member.address]});
    await waitFor(() => (a.member.statistics().dropped['no-key'] ?? 0) > 0, {what: 'the member that was away to be refused'});
    expect(seen(c.member)).toEqual(['c alive']);
    expect(seen(a.member)).toContain('c dead');

    c.member.keyring?.install(keyB);
    c.member.keyring?.use(newKey);
    await allSee([a, b, c], ['a alive', 'b alive', 'c alive']);
    expect(diedOf([a, b])).toEqual(['c']);
  }, 60_000);

  it('keeps a name with whom it is, and says who else claims it', async () => {
    const lines: string[] = [];
    const a = await start({name: 'a', logger: pino({}, {write: (line) => void lines.push(line)})});
    const b = await start({name: 'b', join: [a.member.address]});
    const c = await start({name: 'c', join: [a.member.address]});
    await allSee([a, b, c], ['a alive', 'b alive', 'c alive']);
    const second = await start({name: 'b', join: [a.member.address]});
    expect(second.member.address).not.toEqual(b.member.address);
    await waitFor(() => second.member.members().some(({name}) => name === 'c'), {what: 'the second b to have joined'});
    await waitFor(() => lines.some((line) => line.includes('two members claim one name')), {what: 'the conflict to be told'});
    for (const {member} of [a, c]) expect(member.members().find(({name}) => name === 'b')).toMatchObject({address: b.member.address, state: 'alive'});
  }, 60_000);

  it('finds itself again after all of it was restarted at once, without anyone to join', async () => {
    const dir = tempDir('ring');
    try {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const a = await start({name: 'a', dataDir: join(dir, 'a')});
      const ring = [a, ...(await Promise.all(names.slice(1).map((name) => start({name, dataDir: join(dir, name), join: [a.member.address]}))))];
      await allSee(ring, names.map((name) => `${name} alive`));
      const incarnation = new Map(ring.map(({member}) => [member.name, member.members()[0]?.incarnation ?? 0]));
      await Promise.all(ring.map(({member}) => member.close()));
      expect(names.map((name) => readdirSync(join(dir, name)))).toEqual(names.map(() => ['membership.json']));
      expect(statSync(join(dir, 'a', 'membership.json')).mode & 0o777).toBe(0o600);

      const again = await Promise.all(ring.map(({member: {name, address}}) => start({name, bind: address, dataDir: join(dir, name)})));
      await allSee(again, names.map((name) => `${name} alive`));
      for (const {member} of again) expect(member.members()[0]?.incarnation).toBeGreaterThan(incarnation.get(member.name) ?? Infinity);
    } finally {
      await stopAll();
      await removeTempDir(dir);
    }
  }, 60_000);
});
