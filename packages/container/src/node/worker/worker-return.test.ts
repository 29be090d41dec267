import {existsSync, mkdirSync, readFileSync, rmdirSync} from 'node:fs';
import {join} from 'node:path';
import {waitFor} from '@hivemind/testkit';
import {TestSession} from './testing/control-plane.ts';
import {Machine, web} from './testing/machine.ts';

describe('an agent that starts again', () => {
  it('adopts what runs untouched, and starts what died meanwhile', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    const before = machine.engine.container('web-aaaaa');
    const {pid} = before;
    machine.engine.exit('web-bbbbb', 137);
    machine.engine.calls.length = 0;
    await machine.startWorker();
    await machine.until('the dead one is back', () => machine.control.phase('web-bbbbb') === 'running');
    await machine.running('web-aaaaa');
    expect(machine.engine.container('web-aaaaa')).toMatchObject({runtimeId: before.runtimeId, pid});
    expect(machine.engine.calls.filter((call) => /^(create|stop|remove|start web-aaaaa)/.test(call))).toEqual([]);
  });

  it('goes on alone with the control plane gone, and touches nothing that is right when it is back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    machine.engine.exit('web-bbbbb', 1);
    await machine.startWorker();
    await machine.until('restarted from the cache', () => machine.engine.container('web-bbbbb').state === 'running', {stepMs: 20, withinMs: 10_000});
    const pids = [...machine.engine.containers.values()].map(({pid}) => pid);
    await machine.control.start();
    machine.session.register(1);
    await machine.running('web-aaaaa', 'web-bbbbb');
    expect([...machine.engine.containers.values()].map(({pid}) => pid)).toEqual(pids);
  });

  it('with a disk that is full, brings nothing back that was removed', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    const file = join(machine.dataDir, 'agent/assignment.json');
    // Nothing can be written beside it, nor can that be changed.
    mkdirSync(`${file}.new`);
    await machine.startWorker();
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 1);
    await machine.worker?.stop();
    expect(existsSync(file)).toBe(false);
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    await machine.startWorker();
    await machine.clock.advance(60_000);
    expect([machine.engine.containers.size, machine.engine.container('web-bbbbb').state]).toEqual([1, 'running']);
  });

  it('stops what is not listed any more once no restart can bring it back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    const file = join(machine.dataDir, 'agent/assignment.json');
    const kept = () => readFileSync(file, 'utf8');
    await waitFor(() => kept().includes('web-aaaaa'), {what: 'the assignment to be kept'});
    const seen: boolean[] = [];
    const push = machine.engine.calls.push.bind(machine.engine.calls);
    machine.engine.calls.push = (...calls) => {
      if (calls.some((call) => call.startsWith('stop web-aaaaa'))) seen.push(kept().includes('web-aaaaa'));
      return push(...calls);
    };
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 1);
    expect(seen).toEqual([false]);
  });

  it('keeps the assignment on disk once there is room again', async () => {
    await using machine = await new Machine().start();
    const file = join(machine.dataDir, 'agent/assignment.json');
    mkdirSync(`${file}.new`, {recursive: true});
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    expect(existsSync(file)).toBe(false);
    rmdirSync(`${file}.new`);
    await waitFor(async () => {
      await machine.clock.advance(1_000);
      return existsSync(file) && readFileSync(file, 'utf8').includes('web-aaaaa');
    }, {what: 'the assignment to be kept'});
  });

  it('removes nothing on the word of the cache', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    await waitFor(() => machine.worker?.stop().then(() => true), {what: 'the worker to stop'});
    await machine.control.unassign('web-aaaaa');
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    await machine.startWorker();
    await machine.clock.advance(60_000);
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    await machine.control.start();
    machine.session.register(1);
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });
});

describe('a rewound store', () => {
  it('stops and removes nothing until what runs was adopted', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.control.revision = {epoch: 'e2', n: 0};
    machine.control.hold = true;
    await machine.control.unassign('web-aaaaa');
    await machine.clock.advance(60_000);
    expect(machine.control.strangers).toEqual(new Set(['web-aaaaa']));
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    machine.control.hold = false;
    await machine.control.wake();
    await machine.until('discarded', () => machine.engine.containers.size === 0);
  });

  it('reports what was adopted anew: before, its status was refused', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    const {pid} = machine.engine.container('web-aaaaa');
    machine.control.revision = {epoch: 'e2', n: 0};
    machine.control.hold = true;
    await machine.control.unassign('web-aaaaa');
    await machine.until('the report of strangers', () => machine.control.strangers.has('web-aaaaa'));
    machine.control.statuses.clear();
    machine.control.hold = false;
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    expect(machine.engine.container('web-aaaaa').pid).toBe(pid);
  });

  it('holds on its own account while the control plane does not take note of the strangers', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.control.revision = {epoch: 'e1', n: -5};
    machine.control.acceptStrangers = false;
    await machine.control.unassign('web-aaaaa');
    await machine.clock.advance(60_000);
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    machine.control.acceptStrangers = true;
    await machine.control.wake();
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });
});
