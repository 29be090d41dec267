/** What every runtime does alike. The Docker driver passes it on a real engine, the fake in memory. */
import {engineLabels} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import type {ExecSession, Runtime, RuntimeEvent, RuntimeSpec} from '@hivemind/runtime';
import type {z} from 'zod';
import type {LogOptions, RegistryCredentials} from '@hivemind/contracts';
import {containerSpec, type ContainerOverrides} from './builders.ts';

export interface RuntimeUnderTest {
  readonly runtime: Runtime;
  /** Of another cluster, on the same engine. */
  readonly stranger: Runtime;
  /** The runtime's cluster. */
  readonly cluster: string;
  /** An image on the machine that has a shell. */
  readonly image: string;
  /** Images that a registry has, and the machine has not. */
  readonly registry: {readonly open: string; readonly closed: string; readonly missing: string; readonly credentials: z.infer<typeof RegistryCredentials>};
  /** A build context as a tar, with a Dockerfile that builds from `image`. */
  readonly context: () => AsyncIterable<Uint8Array>;
}

type Log = z.infer<typeof LogOptions>;

/** @param make Called once before all; `close` closes the runtimes and removes what the tests left. */
export function runtimeContract(name: string, make: () => Promise<{readonly under: RuntimeUnderTest; close(): Promise<void>}>): void {
  describe(`runtime contract: ${name}`, () => {
    let under: RuntimeUnderTest;
    let runtime: Runtime;
    let close: (() => Promise<void>) | undefined;
    let count = 0;
    let over: AbortController;

    beforeAll(async () => {
      ({under, close} = await make().then((made) => ({under: made.under, close: () => made.close()})));
      runtime = under.runtime;
    }, 60_000);
    afterAll(() => close?.());
    beforeEach(() => {
      over = new AbortController();
    });
    afterEach(async () => {
      over.abort();
      for (const owner of [runtime, under.stranger]) for (const container of await owner.list()) await owner.remove(container.runtimeId);
    });

    /** A shell script as a container of its own. */
    const scripted = (script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): RuntimeSpec => {
      const id = container.id ?? `c${++count}-${under.cluster}`;
      return containerSpec({...container, id, template: {image: under.image, args: ['sh', '-c', script], ...container.template}}, spec);
    };
    const run = async (spec: RuntimeSpec): Promise<string> => {
      const runtimeId = await runtime.create(spec);
      await runtime.start(runtimeId);
      return runtimeId;
    };
    const ended = (spec: RuntimeSpec) =>
      waitFor(async () => {
        const container = await runtime.inspect(spec.record.id);
        return container?.state === 'exited' && container;
      }, {what: `${spec.record.id} to exit`});
    const log = async (runtimeId: string, options: Partial<Log> = {}) => {
      const lines = [];
      for await (const line of runtime.logs(runtimeId, {follow: false, ...options}, over.signal)) lines.push(line);
      return lines;
    };
    const texts = async (runtimeId: string, options: Partial<Log> = {}) => (await log(runtimeId, options)).map(({stream, line}) => `${stream} ${line}`);
    /** Events from now on, as they come. */
    const heard = async (from: Runtime = runtime): Promise<RuntimeEvent[]> => {
      const events: RuntimeEvent[] = [];
      void (async () => {
        for await (const event of from.events(over.signal)) events.push(event);
      })();
      await waitFor(() => events.some(({type}) => type === 'connected'), {what: 'the events to begin'});
      return events;
    };

    describe('a life', () => {
      it('is created, started, observed and removed', async () => {
        const spec = scripted('sleep 1000', {}, {labels: {[engineLabels.app]: 'web'}, env: {MODE: 'x'}});
        const runtimeId = await runtime.create(spec);
        expect(await runtime.inspect(spec.record.id)).toMatchObject({runtimeId, id: spec.record.id, name: spec.name, state: 'created', oomKilled: false});
        await runtime.start(runtimeId);
        const running = await runtime.inspect(spec.record.id);
        expect(running).toMatchObject({runtimeId, state: 'running', pid: expect.any(Number), startedAt: expect.stringMatching(/^\d{4}-.*Z$/)});
        expect(running?.exitCode).toBeUndefined();
        expect(running?.labels).toMatchObject({[engineLabels.app]: 'web', [engineLabels.cluster]: under.cluster, [engineLabels.container]: spec.record.id});
        expect((await runtime.list()).map((container) => container.runtimeId)).toEqual([runtimeId]);
        await runtime.remove(runtimeId);
        expect(await runtime.inspect(spec.record.id)).toBeUndefined();
        expect(await runtime.list()).toEqual([]);
      });

      it('takes every step twice without harm', async () => {
        const spec = scripted('sleep 1000');
        const runtimeId = await runtime.create(spec);
        expect(await runtime.create(spec)).toBe(runtimeId);
        await runtime.start(runtimeId);
        await runtime.start(runtimeId);
        expect(await runtime.create(spec)).toBe(runtimeId);
        await runtime.stop(runtimeId, 'SIGKILL', 0);
        await runtime.stop(runtimeId, 'SIGKILL', 0);
        await runtime.remove(runtimeId);
        await runtime.remove(runtimeId);
        await runtime.stop(runtimeId, 'SIGTERM', 0);
      });

      it('is made once when asked for many times at once', async () => {
        const spec = scripted('sleep 1000');
        const ids = await Promise.all(Array.from({length: 5}, () => runtime.create(spec)));
        expect(new Set(ids).size).toBe(1);
        await Promise.all(Array.from({length: 3}, () => runtime.remove(ids[0]!)));
        expect(await runtime.list()).toEqual([]);
      });

      it('ends with its exit code, and starts again in place with its log kept', async () => {
        const spec = scripted('echo once; exit 3');
        const runtimeId = await run(spec);
        expect(await ended(spec)).toMatchObject({exitCode: 3, finishedAt: expect.stringMatching(/Z$/)});
        await runtime.start(runtimeId);
        await waitFor(async () => (await texts(runtimeId)).length === 2, {what: 'a second line'});
        expect(await ended(spec)).toMatchObject({runtimeId, exitCode: 3});
      });

      it('gets its environment, and forgets that it failed once it runs', async () => {
        const spec = scripted('echo "$GREETING"', {}, {env: {GREETING: 'good day = "quoted"'}});
        const runtimeId = await run(spec);
        expect((await ended(spec)).exitCode).toBe(0);
        expect(await texts(runtimeId)).toEqual(['stdout good day = "quoted"']);
      });
    });

    describe('stopping', () => {
      it('sends the signal and lets it finish', async () => {
        const spec = scripted("trap 'exit 7' USR1; echo ready; sleep 1000 & wait");
        const runtimeId = await run(spec);
        await waitFor(async () => (await log(runtimeId)).length === 1, {what: 'it to be ready'});
        await runtime.stop(runtimeId, 'SIGUSR1', 30_000);
        expect(await runtime.inspect(spec.record.id)).toMatchObject({state: 'exited', exitCode: 7});
      });

      it('kills what does not go', async () => {
        const spec = scripted('sleep 1000');
        const runtimeId = await run(spec);
        await runtime.stop(runtimeId, 'SIGTERM', 50);
        expect(await runtime.inspect(spec.record.id)).toMatchObject({state: 'exited', exitCode: 137});
      });

      it('removes what still runs', async () => {
        const spec = scripted('sleep 1000');
        await runtime.remove(await run(spec));
        expect(await runtime.list()).toEqual([]);
      });
    });

    describe('refusals', () => {
      it('says that the image is not there', async () => {
        await expect(runtime.create(scripted('true', {template: {image: 'hivemind-test/never:1'}}))).rejects.toMatchObject({code: 'image-not-found', message: expect.stringMatching(/hivemind-test\/never:1/)});
      });

      it('names the command that is not there', async () => {
        const runtimeId = await runtime.create(scripted('', {template: {args: ['no-such-command']}}));
        await expect(runtime.start(runtimeId)).rejects.toMatchObject({code: 'start-failed', message: expect.stringMatching(/no-such-command/)});
      });

      it('says that the container is not there', async () => {
        await expect(runtime.start('0'.repeat(64))).rejects.toMatchObject({code: 'container-not-found'});
        await expect(log('0'.repeat(64))).rejects.toMatchObject({code: 'container-not-found'});
        await expect(runtime.exec('0'.repeat(64), {command: ['true'], tty: false, stdin: false})).rejects.toMatchObject({code: 'container-not-found'});
      });

      it('names the port that is taken', async () => {
        const bind = (host: number) => ({ports: [{container: 80, protocol: 'tcp' as const, host}]});
        const networks = [{name: `net-${under.cluster}`, aliases: []}];
        const first = scripted('sleep 1000', bind(0), {networks});
        await run(first);
        const port = (await runtime.inspect(first.record.id))?.ports[0]?.host;
        expect(port).toBeGreaterThan(1023);
        const second = await runtime.create(scripted('sleep 1000', bind(port!), {networks}));
        await expect(runtime.start(second)).rejects.toMatchObject({code: 'port-in-use', message: expect.stringContaining(String(port))});
        await runtime.remove((await runtime.inspect(first.record.id))!.runtimeId);
        await runtime.start(second);
        expect((await runtime.list())[0]?.ports).toMatchObject([{container: 80, protocol: 'tcp', host: port}]);
      });

      it('publishes no port that has no host port', async () => {
        const spec = scripted('sleep 1000', {ports: [{container: 80, protocol: 'tcp'}]}, {networks: [{name: `net-${under.cluster}`, aliases: []}]});
        await run(spec);
        expect((await runtime.inspect(spec.record.id))?.ports).toEqual([]);
      });
    });

    describe('another cluster on the same engine', () => {
      it('sees nothing of this one, and takes nothing from it', async () => {
        const events = await heard(under.stranger);
        const spec = scripted('sleep 1000', {}, {mounts: [{type: 'volume', source: `v-${under.cluster}`, target: '/data', readOnly: false, labels: {[engineLabels.cluster]: under.cluster}}]});
        const runtimeId = await run(spec);
        expect(await under.stranger.list()).toEqual([]);
        expect(await under.stranger.inspect(spec.record.id)).toBeUndefined();
        await expect(under.stranger.create(spec)).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining(spec.name)});
        await runtime.remove(runtimeId);
        await expect(under.stranger.removeVolume(`v-${under.cluster}`)).rejects.toMatchObject({code: 'runtime-conflict'});
        await runtime.removeVolume(`v-${under.cluster}`);
        // Something of its own comes through, and nothing before it.
        await under.stranger.remove(await under.stranger.create(containerSpec({id: `s-${under.cluster}`, template: {image: under.image}})));
        await waitFor(() => events.length > 1, {what: 'an event'});
        expect(events).toMatchObject([{type: 'connected'}, {type: 'removed', id: `s-${under.cluster}`}]);
      });
    });

    describe('events', () => {
      it('tell of start, exit and removal, in order', async () => {
        const events = await heard();
        const spec = scripted('exit 4');
        const {id} = spec.record;
        const runtimeId = await run(spec);
        await ended(spec);
        await runtime.remove(runtimeId);
        await waitFor(() => events.some(({type}) => type === 'removed'), {what: 'the removal'});
        expect(events.slice(1)).toEqual([
          {type: 'started', id, runtimeId},
          {type: 'exited', id, runtimeId, exitCode: 4, time: expect.stringMatching(/^\d{4}-.*Z$/)},
          {type: 'removed', id, runtimeId},
        ]);
      });

      it('end when they are no longer wanted', async () => {
        const listening = runtime.events(over.signal)[Symbol.asyncIterator]();
        expect(await listening.next()).toMatchObject({value: {type: 'connected'}});
        const next = listening.next();
        over.abort();
        expect(await next).toMatchObject({done: true});
      });
    });

    describe('logs', () => {
      it('give both streams with times', async () => {
        const spec = scripted('echo one; echo two >&2; exit 0');
        const runtimeId = await run(spec);
        await ended(spec);
        const lines = await log(runtimeId);
        expect(lines.map(({stream, line}) => `${stream} ${line}`).sort()).toEqual(['stderr two', 'stdout one']);
        for (const {time} of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      });

      it('give the tail, and what lies between two times', async () => {
        const spec = scripted('echo 1; echo 2; echo 3; echo 4');
        const runtimeId = await run(spec);
        await ended(spec);
        const all = await log(runtimeId);
        expect(all.map(({line}) => line)).toEqual(['1', '2', '3', '4']);
        expect(await texts(runtimeId, {tail: 2})).toEqual(['stdout 3', 'stdout 4']);
        expect(await texts(runtimeId, {tail: 0})).toEqual([]);
        expect(await texts(runtimeId, {since: all[1]!.time, until: all[2]!.time})).toEqual(['stdout 2', 'stdout 3']);
      });

      it('follow until the container ends', async () => {
        const spec = scripted("trap 'exit 0' TERM; echo first; sleep 1000 & wait");
        const runtimeId = await run(spec);
        const lines = runtime.logs(runtimeId, {follow: true}, over.signal)[Symbol.asyncIterator]();
        expect(await lines.next()).toMatchObject({value: {line: 'first'}});
        const next = lines.next();
        await runtime.stop(runtimeId, 'SIGTERM', 30_000);
        expect(await next).toMatchObject({done: true});
      });

      it('stop when they are no longer wanted', async () => {
        const runtimeId = await run(scripted('echo first; sleep 1000'));
        const lines = runtime.logs(runtimeId, {follow: true}, over.signal)[Symbol.asyncIterator]();
        await lines.next();
        const next = lines.next();
        over.abort();
        expect(await next).toMatchObject({done: true});
      });

      it('keep a long line whole', async () => {
        const long = 'x'.repeat(100_000);
        const spec = scripted('echo "$LONG"; echo after', {}, {env: {LONG: long}});
        const runtimeId = await run(spec);
        await ended(spec);
        expect((await log(runtimeId)).map(({line}) => line)).toEqual([long, 'after']);
      });
    });

    describe('exec', () => {
      const collect = async (session: ExecSession): Promise<{readonly stdout: string; readonly stderr: string; readonly exitCode: number}> => {
        const output = {stdout: '', stderr: ''};
        for await (const {stream, data} of session.output) output[stream] += Buffer.from(data).toString();
        return {...output, exitCode: await session.exitCode};
      };

      it('runs a command with its own environment, and answers its exit code', async () => {
        const runtimeId = await run(scripted('sleep 1000'));
        const session = await runtime.exec(runtimeId, {command: ['sh', '-c', 'echo "$A"; echo bad >&2; exit 9'], tty: false, stdin: false, env: {A: 'good'}});
        expect(await collect(session)).toEqual({stdout: 'good\n', stderr: 'bad\n', exitCode: 9});
      });

      it('feeds input until it is ended', async () => {
        const runtimeId = await run(scripted('sleep 1000'));
        const session = await runtime.exec(runtimeId, {command: ['cat'], tty: false, stdin: true});
        const size = 1_000_000;
        const result = collect(session);
        for (let sent = 0; sent < size; sent += 50_000) await session.write(Buffer.alloc(50_000, 'a'));
        session.endInput();
        expect(await result).toMatchObject({exitCode: 0, stdout: 'a'.repeat(size)});
      });

      it('says what it could not run', async () => {
        const runtimeId = await run(scripted('sleep 1000'));
        const {stdout, exitCode} = await collect(await runtime.exec(runtimeId, {command: ['no-such-command'], tty: false, stdin: false}));
        expect(stdout).toContain('no-such-command');
        expect([126, 127]).toContain(exitCode);
      });

      it('wants a container that runs', async () => {
        const spec = scripted('exit 0');
        const runtimeId = await run(spec);
        await ended(spec);
        await expect(runtime.exec(runtimeId, {command: ['true'], tty: false, stdin: false})).rejects.toMatchObject({code: 'runtime-conflict'});
        await expect(runtime.exec(runtimeId, {tty: false, stdin: false})).rejects.toMatchObject({code: 'runtime-conflict'});
      });

      it('attaches to the main process', async () => {
        const spec = scripted("trap 'exit 5' TERM; sleep 1000 & wait");
        const runtimeId = await run(spec);
        const session = await runtime.exec(runtimeId, {tty: false, stdin: false});
        const result = collect(session);
        await runtime.stop(runtimeId, 'SIGTERM', 30_000);
        expect(await result).toMatchObject({exitCode: 5});
      });

      it('can be left', async () => {
        const runtimeId = await run(scripted('sleep 1000'));
        const session = await runtime.exec(runtimeId, {tty: false, stdin: false});
        const reading = session.output[Symbol.asyncIterator]().next();
        session.close();
        expect(await reading).toMatchObject({done: true});
      });
    });

    describe('stats', () => {
      it('are there for what runs', async () => {
        const running = scripted('sleep 1000');
        const finished = scripted('exit 0');
        await run(running);
        await run(finished);
        await ended(finished);
        const stats = await runtime.stats([running.record.id, finished.record.id, 'no-such']);
        expect(stats).toEqual([expect.objectContaining({id: running.record.id, cpu: expect.any(Number), pids: expect.any(Number)})]);
        expect(stats[0]!.memory).toBeGreaterThan(0);
        expect(stats[0]!.memoryLimit).toBeGreaterThanOrEqual(stats[0]!.memory);
      });
    });

    describe('images', () => {
      const pull = async (image: string, credentials?: z.infer<typeof RegistryCredentials>) => {
        const progress = [];
        for await (const step of runtime.pull(image, credentials, over.signal)) progress.push(step);
        return progress;
      };

      it('are listed', async () => {
        expect(await runtime.hasImage(under.image)).toBe(true);
        expect(await runtime.hasImage('hivemind-test/never:1')).toBe(false);
        expect((await runtime.images()).flatMap(({tags}) => tags)).toContain(under.image);
      });

      it('are pulled with progress', async () => {
        const {open} = under.registry;
        expect(await runtime.hasImage(open)).toBe(false);
        const progress = await pull(open);
        expect(progress.length).toBeGreaterThan(1);
        expect(progress.at(-1)).toMatchObject({done: true});
        expect(await runtime.hasImage(open)).toBe(true);
      });

      it('ask for credentials', async () => {
        const {closed, credentials} = under.registry;
        await expect(pull(closed)).rejects.toMatchObject({code: 'image-unauthorized', message: expect.stringContaining(closed)});
        await expect(pull(closed, {...credentials, password: 'wrong'})).rejects.toMatchObject({code: 'image-unauthorized'});
        await pull(closed, credentials);
        expect(await runtime.hasImage(closed)).toBe(true);
      });

      it('that do not exist are said not to', async () => {
        await expect(pull(under.registry.missing)).rejects.toMatchObject({code: 'image-not-found', message: expect.stringContaining(under.registry.missing)});
      });

      it('are built from a tar', async () => {
        const tag = `hivemind-test/built-${under.cluster}:1`;
        const options = {tag, dockerfile: 'Dockerfile', args: {}, labels: {}, noCache: false, extraHosts: []};
        const progress = [];
        for await (const step of runtime.build(under.context(), options, over.signal)) progress.push(step);
        expect(progress.at(-1)).toMatchObject({done: true});
        expect(await runtime.hasImage(tag)).toBe(true);
      });
    });

    describe('volumes and networks', () => {
      it('keep data when the container goes, until they are removed', async () => {
        const name = `data-${under.cluster}`;
        const mounts = [{type: 'volume' as const, source: name, target: '/data', readOnly: false, labels: {[engineLabels.cluster]: under.cluster}}];
        const runtimeId = await run(scripted('sleep 1000', {}, {mounts}));
        expect(await runtime.volumeUsage([name, 'no-such'])).toEqual([{name, bytes: expect.any(Number), path: expect.stringMatching(/^\//)}]);
        await expect(runtime.removeVolume(name)).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining(name)});
        await runtime.remove(runtimeId);
        expect(await runtime.volumeUsage([name])).toHaveLength(1);
        await runtime.removeVolume(name);
        await runtime.removeVolume(name);
        expect(await runtime.volumeUsage([name])).toEqual([]);
      });

      it('come back when a container needs them', async () => {
        const networks = [{name: `net-${under.cluster}`, aliases: ['web']}];
        const first = await run(scripted('sleep 1000', {}, {networks}));
        await runtime.stop(first, 'SIGKILL', 0);
        await runtime.pruneNetworks();
        await runtime.start(first);
        await run(scripted('sleep 1000', {}, {networks}));
        await runtime.pruneNetworks();
        expect((await runtime.list()).map(({state}) => state)).toEqual(['running', 'running']);
      });
    });
  });
}
