import type {Rotation} from './drain.ts';
import type {containerRecord} from './testing/builders.ts';
import {TestSession} from './testing/control-plane.ts';
import {Machine, web} from './testing/machine.ts';

describe('a container that others reach', () => {
  /** On the cluster's network; `open` others are connected to it. */
  async function serving(rotation: Rotation, fields: Parameters<typeof containerRecord>[0] = {}): Promise<Machine> {
    const machine = new Machine();
    machine.rotation = rotation;
    const network = {bridge: 'hm0', subnet: '10.244.1.0/24', gateway: '10.244.1.1', others: '10.244.1.248/29', mtu: 1450, address: '10.244.1.2', dns: {servers: [], search: [], options: []}};
    machine.hooks.push({name: 'network', prepare: async () => ({network})});
    await machine.start();
    await machine.control.assign(web(fields));
    await machine.running('web-aaaaa');
    return machine;
  }
  const isStopped = (machine: Machine): boolean => machine.engine.calls.some((call) => call.startsWith('stop'));

  it('stops when nobody is led to it and its connections are over, and until then has its address', async () => {
    const left = Promise.withResolvers<undefined>();
    await using machine = await serving({left: () => left.promise});
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => machine.control.phase('web-aaaaa') === 'stopping');
    expect(machine.status('web-aaaaa')).toMatchObject({ready: false, ip: '10.0.0.2', message: expect.stringContaining('draining')});
    left.resolve(undefined);
    await machine.clock.advance(3_000);
    expect(isStopped(machine)).toBe(false);
    machine.open = 0;
    await machine.until('removed', () => machine.engine.containers.size === 0);
    expect(machine.control.events).toEqual([]);
  });

  it('stops after its drain at the latest, and an event says for whom', async () => {
    const vain = Promise.withResolvers<string>();
    let asked: number | undefined;
    await using machine = await serving({left: (_id, ms) => {
      asked = ms;
      return vain.promise;
    }}, {template: {stop: {drain: '4s'}}});
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => asked !== undefined);
    expect(asked).toBe(4_000);
    vain.resolve('m3');
    await machine.until('removed', () => machine.engine.containers.size === 0);
    await machine.until('the event', () => machine.control.events.length > 0);
    expect(machine.control.events).toEqual([expect.objectContaining({reason: 'DrainTimeout', type: 'warning', container: 'web-aaaaa', message: 'stopped after a drain of 4000 ms: waited in vain for m3'})]);
  });

  it.each([['drain: 0s', {template: {stop: {drain: '0s'}}}], ['a job', {mode: 'job' as const}]])('is not waited for with %s', async (_what, fields) => {
    await using machine = await serving({left: () => new Promise(() => undefined)}, fields);
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });

  it('that ends by itself meanwhile is removed at once, and a restart waits for nothing', async () => {
    const ended: Rotation = {left: (_id, _ms, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))};
    await using machine = await serving(ended);
    await machine.worker?.restart('web-aaaaa');
    await machine.until('its restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1);
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => machine.control.phase('web-aaaaa') === 'stopping');
    machine.engine.exit('web-aaaaa', 0);
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });

  it('goes on draining under an agent that starts again, and not once it is wanted after all', async () => {
    let asked = 0;
    const rotation: Rotation = {left: (_id, _ms, signal) => new Promise((_resolve, reject) => {
      asked += 1;
      signal.addEventListener('abort', () => reject(signal.reason));
    })};
    await using machine = await serving(rotation);
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => asked === 1);
    await machine.worker?.stop();
    expect(isStopped(machine)).toBe(false);
    machine.session = new TestSession();
    await machine.startWorker();
    await machine.until('it to be draining again', () => asked === 2);
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    await machine.clock.advance(20_000);
    expect(isStopped(machine)).toBe(false);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'running', ready: true});
  });
});
