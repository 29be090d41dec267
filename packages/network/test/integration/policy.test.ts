import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {NetworkPolicySpec, type PolicyMembers} from '@hivemind/contracts';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {resolvePolicies} from '../../src/core/policy/resolve.ts';
import {type Peer, peerMachine, type PeerMachine} from './machine.ts';
import type {PolicyOrder} from './policy-program.ts';

const meta = {uid: 'u', generation: 1, createdAt: '', updatedAt: ''};
/** Containers 1 to 4: three apps of the shop, and one of another namespace. */
const apps = [['shop', 'web'], ['shop', 'api'], ['shop', 'db'], ['lab', 'probe']].map(([namespace = '', name = '']) => ({namespace, name, labels: {}}));

describe('policies in the kernel', () => {
  let machine: PeerMachine;
  let dir: string;
  let order: (what: PolicyOrder) => Promise<void>;
  let version = 0;
  let web: Peer, api: Peer, db: Peer, probe: Peer;

  /** Of the namespace shop. */
  const told = (specs: Readonly<Record<string, unknown>>) => order({told: {
    version: String(++version),
    policies: resolvePolicies(Object.entries(specs).map(([name, spec]) => ({name, namespace: 'shop', labels: {}, annotations: {}, meta, spec: NetworkPolicySpec.parse(spec)})), apps),
    members: apps.map(({namespace, name}, index): PolicyMembers => ({namespace, app: name, addresses: [`10.244.0.${index + 2}`]})),
  }});
  const may = async (from: Peer, to: Peer): Promise<boolean> => from.dial(to.address, 8080).then(() => true, (error: Error) => {
    // Said at once: nobody waits for what is denied.
    expect(error.message).toBe('ECONNREFUSED');
    return false;
  });
  const settles = (from: Peer, to: Peer, allowed: boolean) => waitFor(async () => (await may(from, to)) === allowed, {what: `${from.name} ${allowed ? '' : 'not '}to reach ${to.name}`});

  beforeAll(async () => {
    dir = tempDir('policies');
    machine = await peerMachine(4);
    [web, api, db, probe] = machine.peers as [Peer, Peer, Peer, Peer];
    // As every machine of a network has it: connections are followed.
    machine.exec('nft', 'add table ip nat; add chain ip nat postrouting { type nat hook postrouting priority srcnat; }; add rule ip nat postrouting oifname "out0" masquerade');
    const program = machine.start(process.execPath, join(import.meta.dirname, 'policy-program.ts'), join(dir, 'policies.json'));
    const lines = createInterface({input: program.stdout!});
    order = async (what) => {
      program.stdin!.write(`${JSON.stringify(what)}\n`);
      await once(lines, 'line');
    };
    for (const [index, {namespace, name}] of apps.entries()) await order({admit: {id: `${name}-1`, namespace, app: name, address: `10.244.0.${index + 2}`}});
  }, 60_000);
  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    await removeTempDir(dir);
  });

  it('are none at first: everybody reaches everybody', async () => {
    expect(await may(probe, db)).toBe(true);
    expect(machine.exec('nft', 'list', 'tables')).not.toContain('policy');
  });

  it('deny who is not allowed, and let go on what was established', async () => {
    expect(await web.hold(db.address, 8080)).toMatch(/^c3/);
    await told({'only-api': {target: {app: 'db'}, ingress: [{action: 'allow', from: {app: 'api'}, ports: [{port: 8080}]}, {action: 'deny', from: {all: true}}]}});
    await settles(web, db, false);
    expect(await may(probe, db)).toBe(false);
    expect(await may(api, db)).toBe(true);
    await expect(api.ask(db.address, 5353)).rejects.toThrow();
    expect(await web.say('still there')).toBe('still there');
    expect(await machine.self.dial(db.address, 8080)).toHaveLength(1);
  });

  it('isolate a namespace, but for what an app of it allows', async () => {
    await told({closed: {target: {all: true}, isolate: true}, shown: {target: {app: 'web'}, ingress: [{action: 'allow', from: {namespace: 'lab'}}]}});
    await settles(probe, api, false);
    expect([await may(probe, db), await may(probe, web), await may(web, db), await may(db, probe)]).toEqual([false, true, true, true]);
  });

  it('deny where somebody may go, by range and port', async () => {
    await told({inside: {target: {app: 'web'}, egress: [{action: 'allow', to: {cidr: '10.244.0.4/32'}, ports: [{port: 8000, endPort: 9000}]}, {action: 'deny', to: {cidr: '10.244.0.0/16'}}]}});
    await settles(web, probe, false);
    expect([await may(web, db), await may(web, api), await may(api, probe)]).toEqual([true, false, true]);
  });

  it('in audit count what they would deny, and let it through', async () => {
    await told({watch: {target: {app: 'db'}, mode: 'audit', ingress: [{action: 'allow', from: {app: 'api'}}, {action: 'deny', from: {all: true}}]}});
    const counted = (): number => Number(/packets (\d+)/.exec(machine.exec('nft', 'list', 'counter', 'ip', 'hivemind_policy', 'audited/shop/watch'))?.[1]);
    await waitFor(() => counted() === 0, {what: 'the counter'});
    expect([await may(web, db), await may(api, db), await may(probe, db)]).toEqual([true, true, true]);
    expect(counted()).toBe(2);
  });

  it('come back when another hand flushed them, and hold for a container from the first', async () => {
    await told({closed: {target: {all: true}, ingress: [{action: 'deny', from: {all: true}}]}});
    await settles(web, db, false);
    machine.exec('nft', 'flush ruleset');
    await settles(web, db, false);
    await order({admit: {id: 'new-1', namespace: 'shop', app: 'new', address: probe.address}});
    expect(await may(web, probe)).toBe(false);
  });

  it('leave nothing behind when there are none any more', async () => {
    await told({});
    await waitFor(() => !machine.exec('nft', 'list', 'tables').includes('policy'), {what: 'the table to be gone'});
    expect(await may(probe, db)).toBe(true);
  });
});
