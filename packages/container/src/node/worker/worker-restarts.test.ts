import {Machine, web} from './testing/machine.ts';

describe('crashes', () => {
  it('starts the same container again at once the first time', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    const {runtimeId} = machine.engine.container('web-aaaaa');
    machine.engine.exit('web-aaaaa', 137);
    await machine.until('restarted', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running', {withinMs: 20});
    expect(machine.engine.container('web-aaaaa')).toMatchObject({runtimeId, state: 'running'});
    expect(machine.status('web-aaaaa')).toMatchObject({exitCode: 137, ready: true});
  });

  it('backs off when it crashes again and again, showing the exit code, the last lines and the next attempt', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('one restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running');
    machine.engine.write('web-aaaaa', 'cannot open the database');
    machine.engine.exit('web-aaaaa', 3);
    await machine.until('back-off', () => machine.control.statuses.get('web-aaaaa')?.lastLogs !== undefined);
    const status = machine.status('web-aaaaa');
    expect(status).toMatchObject({phase: 'exited', reason: 'CrashLoop', exitCode: 3, ready: false, lastLogs: expect.arrayContaining(['cannot open the database'])});
    const wait = Date.parse(status.nextAttemptAt ?? '') - machine.clock.now();
    expect(wait).toBeGreaterThan(900);
    expect(wait).toBeLessThanOrEqual(1_000);
    await machine.clock.advance(wait - 1);
    expect(machine.engine.container('web-aaaaa').state).toBe('exited');
    await machine.until('the second restart', () => machine.control.phase('web-aaaaa') === 'running', {withinMs: 20});
  });

  it('acts on a change at once while it waits', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    for (const restarts of [1, 2]) {
      machine.engine.exit('web-aaaaa', 1);
      await machine.until('its restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === restarts && machine.control.phase('web-aaaaa') === 'running', {stepMs: 10});
    }
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('back-off', () => machine.control.statuses.get('web-aaaaa')?.reason === 'CrashLoop');
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.control.phase('web-aaaaa') === 'removed', {withinMs: 50});
    expect(machine.engine.containers.size).toBe(0);
  });
});

describe('jobs', () => {
  it('is over when it exits with 0, even when its container is removed afterwards', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job'}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 0);
    await machine.until('completed', () => machine.control.statuses.get('web-aaaaa')?.reason === 'Completed');
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'exited', exitCode: 0});
    expect(machine.status('web-aaaaa').nextAttemptAt).toBeUndefined();
    machine.engine.vanish('web-aaaaa');
    await machine.clock.advance(120_000);
    expect(machine.creates('web-aaaaa')).toBe(1);
  });

  it('fails for good with policy never', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job', template: {restart: {policy: 'never'}}}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 2);
    await machine.until('failed', () => machine.control.phase('web-aaaaa') === 'failed');
    await machine.clock.advance(120_000);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'failed', exitCode: 2, restarts: 0});
  });

  it('gives up after the attempts that on-failure allows', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job', template: {restart: {policy: 'on-failure', attempts: 1}}}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('its one restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('failed', () => machine.control.phase('web-aaaaa') === 'failed');
    expect(machine.status('web-aaaaa').message).toContain('gave up after 1 restarts');
  });
});
