/** The contract: how containers live, and what is refused. */
import {engineLabels} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {containerSpec} from '../builders.ts';
import type {ContractBench} from './bench.ts';

export function lifeContract(bench: ContractBench): void {
  describe('a life', () => {
    it('is created, started, observed and removed', async () => {
      const spec = bench.scripted('sleep 1000', {}, {labels: {[engineLabels.app]: 'web'}, env: {MODE: 'x'}});
      const runtimeId = await bench.runtime.create(spec);
      expect(await bench.runtime.inspect(spec.record.id)).toMatchObject({runtimeId, id: spec.record.id, name: spec.name, state: 'created', oomKilled: false});
      const started = await bench.runtime.start(runtimeId);
      const running = await bench.runtime.inspect(spec.record.id);
      expect([undefined, running]).toContainEqual(started);
      expect(running).toMatchObject({runtimeId, state: 'running', pid: expect.any(Number), startedAt: expect.stringMatching(/^\d{4}-.*Z$/)});
      expect(running?.exitCode).toBeUndefined();
      expect(running?.labels).toMatchObject({[engineLabels.app]: 'web', [engineLabels.cluster]: bench.under.cluster, [engineLabels.container]: spec.record.id});
      expect((await bench.runtime.list()).map((container) => container.runtimeId)).toEqual([runtimeId]);
      await bench.runtime.remove(runtimeId);
      expect(await bench.runtime.inspect(spec.record.id)).toBeUndefined();
      expect(await bench.runtime.list()).toEqual([]);
    });

    it('takes every step twice without harm', async () => {
      const spec = bench.scripted('sleep 1000');
      const runtimeId = await bench.runtime.create(spec);
      expect(await bench.runtime.create(spec)).toBe(runtimeId);
      await bench.runtime.start(runtimeId);
      await bench.runtime.start(runtimeId);
      expect(await bench.runtime.create(spec)).toBe(runtimeId);
      await bench.runtime.stop(runtimeId, 'SIGKILL', 0);
      await bench.runtime.stop(runtimeId, 'SIGKILL', 0);
      await bench.runtime.remove(runtimeId);
      await bench.runtime.remove(runtimeId);
      await bench.runtime.stop(runtimeId, 'SIGTERM', 0);
    });

    it('is made once when asked for many times at once', async () => {
      const spec = bench.scripted('sleep 1000');
      const ids = await Promise.all(Array.from({length: 5}, () => bench.runtime.create(spec)));
      expect(new Set(ids).size).toBe(1);
      await Promise.all(Array.from({length: 3}, () => bench.runtime.remove(ids[0]!)));
      expect(await bench.runtime.list()).toEqual([]);
    });

    it('ends with its exit code, and starts again in place with its log kept', async () => {
      const spec = bench.scripted('echo once; exit 3');
      const runtimeId = await bench.run(spec);
      expect(await bench.ended(spec)).toMatchObject({exitCode: 3, finishedAt: expect.stringMatching(/Z$/)});
      await bench.runtime.start(runtimeId);
      await waitFor(async () => (await bench.texts(runtimeId)).length === 2, {what: 'a second line'});
      expect(await bench.ended(spec)).toMatchObject({runtimeId, exitCode: 3});
    });

    it('gets its environment, and forgets that it failed once it runs', async () => {
      const spec = bench.scripted('echo "$GREETING"', {}, {env: {GREETING: 'good day = "quoted"'}});
      const runtimeId = await bench.run(spec);
      expect((await bench.ended(spec)).exitCode).toBe(0);
      expect(await bench.texts(runtimeId)).toEqual(['stdout good day = "quoted"']);
    });
  });

  describe('stopping', () => {
    it('sends the signal and lets it finish', async () => {
      const spec = bench.scripted("trap 'exit 7' USR1; echo ready; sleep 1000 & wait");
      const runtimeId = await bench.run(spec);
      await waitFor(async () => (await bench.log(runtimeId)).length === 1, {what: 'it to be ready'});
      await bench.runtime.stop(runtimeId, 'SIGUSR1', 30_000);
      expect(await bench.runtime.inspect(spec.record.id)).toMatchObject({state: 'exited', exitCode: 7});
    });

    it('kills what does not go', async () => {
      const spec = bench.scripted('sleep 1000');
      const runtimeId = await bench.run(spec);
      await bench.runtime.stop(runtimeId, 'SIGTERM', 50);
      expect(await bench.runtime.inspect(spec.record.id)).toMatchObject({state: 'exited', exitCode: 137});
    });

    it('removes what still runs', async () => {
      const spec = bench.scripted('sleep 1000');
      await bench.runtime.remove(await bench.run(spec));
      expect(await bench.runtime.list()).toEqual([]);
    });
  });

  describe('refusals', () => {
    it('says that the image is not there', async () => {
      await expect(bench.runtime.create(bench.scripted('true', {template: {image: 'hivemind-test/never:1'}}))).rejects.toMatchObject({code: 'image-not-found', message: expect.stringMatching(/hivemind-test\/never:1/)});
    });

    it('names the command that is not there', async () => {
      const runtimeId = await bench.runtime.create(bench.scripted('', {template: {args: ['no-such-command']}}));
      await expect(bench.runtime.start(runtimeId)).rejects.toMatchObject({code: 'start-failed', message: expect.stringMatching(/no-such-command/)});
    });

    it('says that the container is not there', async () => {
      await expect(bench.runtime.start('0'.repeat(64))).rejects.toMatchObject({code: 'container-not-found'});
      await expect(bench.log('0'.repeat(64))).rejects.toMatchObject({code: 'container-not-found'});
      await expect(bench.runtime.exec('0'.repeat(64), {command: ['true'], tty: false, stdin: false})).rejects.toMatchObject({code: 'container-not-found'});
    });

    it('names the port that is taken', async () => {
      const bind = (host: number) => ({ports: [{container: 80, protocol: 'tcp' as const, host}]});
      const networks = [{name: `net-${bench.under.cluster}`, aliases: []}];
      const first = bench.scripted('sleep 1000', bind(0), {networks});
      await bench.run(first);
      const port = (await bench.runtime.inspect(first.record.id))?.ports[0]?.host;
      expect(port).toBeGreaterThan(1023);
      const second = await bench.runtime.create(bench.scripted('sleep 1000', bind(port!), {networks}));
      await expect(bench.runtime.start(second)).rejects.toMatchObject({code: 'port-in-use', message: expect.stringContaining(String(port))});
      await bench.runtime.remove((await bench.runtime.inspect(first.record.id))!.runtimeId);
      await bench.runtime.start(second);
      expect((await bench.runtime.list())[0]?.ports).toMatchObject([{container: 80, protocol: 'tcp', host: port}]);
    });

    it('publishes no port that has no host port', async () => {
      const spec = bench.scripted('sleep 1000', {ports: [{container: 80, protocol: 'tcp'}]}, {networks: [{name: `net-${bench.under.cluster}`, aliases: []}]});
      await bench.run(spec);
      expect((await bench.runtime.inspect(spec.record.id))?.ports).toEqual([]);
    });
  });

  describe('another cluster on the same engine', () => {
    it('sees nothing of this one, and takes nothing from it', async () => {
      const events = await bench.heard(bench.under.stranger);
      const spec = bench.scripted('sleep 1000', {}, {mounts: [{type: 'volume', source: `v-${bench.under.cluster}`, target: '/data', readOnly: false, labels: {[engineLabels.cluster]: bench.under.cluster}}]});
      const runtimeId = await bench.run(spec);
      expect(await bench.under.stranger.list()).toEqual([]);
      expect(await bench.under.stranger.inspect(spec.record.id)).toBeUndefined();
      await expect(bench.under.stranger.create(spec)).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining(spec.name)});
      await bench.runtime.remove(runtimeId);
      await expect(bench.under.stranger.removeVolume(`v-${bench.under.cluster}`)).rejects.toMatchObject({code: 'runtime-conflict'});
      await bench.runtime.removeVolume(`v-${bench.under.cluster}`);
      // Something of its own comes through, and nothing before it.
      await bench.under.stranger.remove(await bench.under.stranger.create(containerSpec({id: `s-${bench.under.cluster}`, template: {image: bench.under.image}})));
      await waitFor(() => events.length > 1, {what: 'an event'});
      expect(events).toMatchObject([{type: 'connected'}, {type: 'removed', id: `s-${bench.under.cluster}`}]);
    });
  });

  describe('events', () => {
    it('tell of start, exit and removal, in order', async () => {
      const events = await bench.heard();
      const spec = bench.scripted('exit 4');
      const {id} = spec.record;
      const runtimeId = await bench.run(spec);
      await bench.ended(spec);
      await bench.runtime.remove(runtimeId);
      await waitFor(() => events.some(({type}) => type === 'removed'), {what: 'the removal'});
      expect(events.slice(1)).toEqual([
        {type: 'started', id, runtimeId},
        {type: 'exited', id, runtimeId, exitCode: 4, time: expect.stringMatching(/^\d{4}-.*Z$/)},
        {type: 'removed', id, runtimeId},
      ]);
    });

    it('end when they are no longer wanted', async () => {
      const listening = bench.runtime.events(bench.over.signal)[Symbol.asyncIterator]();
      expect(await listening.next()).toMatchObject({value: {type: 'connected'}});
      const next = listening.next();
      bench.over.abort();
      expect(await next).toMatchObject({done: true});
    });
  });
}
