import {type ContainerRecord, engineLabels} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import fc from 'fast-check';
import {containerRecord, runtimeContainer} from '../testing/builders.ts';
import {afterExit, afterFailure, afterRestartRequest, afterStart, afterStop, afterUnhealthy, backoffMs, blankMemory, type Memory, seenRunning} from './memory.ts';
import {planContainer, type Situation} from './plan.ts';
import type {Step} from './steps.ts';

/** Machine, engine and memory of one container, as the worker moves them. */
interface World {
  readonly record: ContainerRecord;
  wanted: boolean;
  held: boolean;
  observed: RuntimeContainer | undefined;
  memory: Memory;
  now: number;
  creates: number;
  forgotten: boolean;
}

const record = fc
  .record({
    mode: fc.constantFrom('replicated' as const, 'job' as const),
    policy: fc.constantFrom('always' as const, 'on-failure' as const, 'never' as const),
    attempts: fc.option(fc.nat(3), {nil: undefined}),
    pull: fc.constantFrom('missing' as const, 'always' as const, 'never' as const),
  })
  .map(({mode, policy, attempts, pull}) => containerRecord({mode, template: {pull: {policy: pull}, restart: {policy, attempts}}}));

type Event = 'exit 0' | 'exit 1' | 'oom' | 'vanish' | 'unhealthy' | 'restart' | 'unassign' | 'hold' | 'release' | 'time' | 'fail' | 'step' | 'dead';
const events = fc.array(fc.constantFrom<Event[]>('exit 0', 'exit 1', 'oom', 'vanish', 'unhealthy', 'restart', 'unassign', 'hold', 'release', 'time', 'fail', 'step', 'step', 'step', 'dead'), {maxLength: 60});

function newWorld(container: ContainerRecord): World {
  return {record: container, wanted: true, held: false, observed: undefined, memory: blankMemory, now: 1_000_000, creates: 0, forgotten: false};
}

const situation = ({record: container, wanted, held, observed, memory}: World): Situation => ({record: container, wanted, held, observed, memory});
const time = (world: World): string => new Date(world.now).toISOString();

/** What executing a step does to the world. */
function perform(world: World, step: Step): void {
  switch (step.action) {
    case 'pull':
      world.memory = {...world.memory, pulled: true, imageMissing: false};
      break;
    case 'create':
      // The engine has one container for a name: making it while it is there would be the second.
      expect(world.observed).toBeUndefined();
      world.creates += 1;
      world.observed = runtimeContainer({state: 'created', runtimeId: `r${world.creates}`, labels: world.creates % 2 === 0 ? {} : {[engineLabels.address]: '10.244.1.2'}});
      break;
    case 'start':
      expect(world.observed).toBeDefined();
      world.memory = seenRunning(afterStart(world.memory));
      world.observed = runtimeContainer({...world.observed, state: 'running', startedAt: time(world)});
      break;
    case 'watch':
      expect(world.observed?.state).toBe('running');
      world.memory = {...world.memory, watched: true};
      break;
    case 'drain':
      expect(world.wanted).toBe(false);
      expect(world.memory.drained).toBe(false);
      world.memory = {...world.memory, drained: true};
      break;
    case 'stop':
      if (!world.wanted && world.observed?.labels[engineLabels.address] !== undefined && world.record.mode !== 'job') expect(world.memory.drained).toBe(true);
      world.memory = afterStop(world.memory, time(world));
      world.observed = runtimeContainer({...world.observed, state: 'exited'});
      break;
    case 'remove':
      world.observed = undefined;
      break;
    case 'forget':
      expect(world.observed).toBeUndefined();
      world.forgotten = true;
      break;
  }
}

/** @returns whether there was anything to do now */
function doOneStep(world: World): boolean {
  const [step] = planContainer(situation(world), world.now).steps;
  if (!step || world.forgotten) return false;
  perform(world, step);
  return true;
}

function happen(world: World, event: Event): void {
  const running = world.observed?.state === 'running';
  const exit = (exitCode: number, oomKilled = false): void => {
    if (!running) return;
    world.memory = afterExit(world.memory, {exitCode, oomKilled, startedAt: world.observed?.startedAt, finishedAt: time(world)}, world.record, world.now);
    world.observed = runtimeContainer({...world.observed, state: 'exited', exitCode});
  };
  switch (event) {
    case 'exit 0': return exit(0);
    case 'exit 1': return exit(1);
    case 'oom': return exit(137, true);
    case 'dead':
      if (world.observed && !running) world.observed = {...world.observed, state: 'dead'};
      return;
    case 'vanish':
      world.observed = undefined;
      world.memory = {...world.memory, watched: false};
      return;
    case 'unhealthy':
      if (running && !world.memory.restart) world.memory = afterUnhealthy(world.memory, {reason: 'Unhealthy', message: 'probe'}, world.record, world.now);
      return;
    case 'restart':
      if (world.wanted) world.memory = afterRestartRequest(world.memory, running ? {reason: 'RestartRequested', message: ''} : undefined);
      return;
    case 'unassign': world.wanted = false; return;
    case 'hold': world.held = true; return;
    case 'release': world.held = false; return;
    case 'time': world.now += 20_000; return;
    case 'fail':
      if (world.wanted && !running) world.memory = afterFailure(world.memory, {reason: 'ImageNotFound', message: ''}, world.record, world.now);
      return;
    case 'step': doOneStep(world);
  }
}

/** Runs the plan until it rests, time going on as it asks. */
function settle(world: World): void {
  for (let rounds = 0; rounds < 100; rounds++) {
    if (doOneStep(world)) continue;
    const {wakeAt} = planContainer(situation(world), world.now);
    if (wakeAt === undefined || world.forgotten) return;
    world.now = Math.max(world.now, wakeAt);
  }
  throw new Error('the plan does not come to rest');
}

describe('planContainer', () => {
  it('comes to rest after whatever happened, in the state that is wanted', () => {
    fc.assert(
      fc.property(record, events, (container, happened) => {
        const world = newWorld(container);
        for (const event of happened) happen(world, event);
        settle(world);
        if (!world.wanted && !world.held) expect(world.forgotten && world.observed === undefined).toBe(true);
        if (world.wanted && !world.memory.outcome) expect(world.observed?.state).toBe('running');
        if (world.wanted && world.memory.outcome) expect(world.observed?.state).not.toBe('running');
      }),
    );
  });

  it('never stops or removes what is held and not listed', () => {
    fc.assert(
      fc.property(record, events, (container, happened) => {
        const world = newWorld(container);
        for (const event of happened) happen(world, event);
        world.wanted = false;
        world.held = true;
        const had = world.observed;
        if (world.forgotten || !had) return;
        settle(world);
        expect(world.observed).toEqual(had);
      }),
    );
  });

  it('never starts anything before its back-off is over', () => {
    fc.assert(
      fc.property(record, events, (container, happened) => {
        const world = newWorld(container);
        for (const event of happened) {
          happen(world, event);
          const {steps, wakeAt} = planContainer(situation(world), world.now);
          if (world.now < world.memory.notBefore) expect(steps.some(({action}) => action === 'start' || action === 'create')).toBe(false);
          if (wakeAt !== undefined) expect(wakeAt).toBe(world.memory.notBefore);
        }
      }),
    );
  });

  it('asks for exactly the same again in the same situation', () => {
    fc.assert(
      fc.property(record, events, (container, happened) => {
        const world = newWorld(container);
        for (const event of happened) happen(world, event);
        expect(planContainer(situation(world), world.now)).toEqual(planContainer(situation(world), world.now));
      }),
    );
  });
});

describe('back-off', () => {
  it('doubles from initial to max, and never overflows', () => {
    const container = containerRecord({template: {restart: {backoff: {initial: '1s', max: '60s'}}}});
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 5_000].map((failures) => backoffMs(failures, container))).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('is at once after the first crash, and again after a run of ten times the delay', () => {
    const container = containerRecord();
    const crash = (memory: Memory, ranMs: number, now: number): Memory =>
      afterExit(afterStart(memory), {exitCode: 1, oomKilled: false, startedAt: new Date(now - ranMs).toISOString(), finishedAt: new Date(now).toISOString()}, container, now);
    let now = 1_000_000;
    let memory = blankMemory;
    const delays = [];
    for (let count = 0; count < 5; count++) {
      memory = crash(memory, 100, now);
      delays.push(memory.notBefore - now);
      now = memory.notBefore + 100;
    }
    expect(delays).toEqual([0, 1_000, 2_000, 4_000, 8_000]);
    memory = crash(memory, 79_999, now);
    expect(memory.notBefore - now).toBe(16_000);
    memory = crash(memory, 160_000, now);
    expect(memory.notBefore - now).toBe(0);
  });
});
