/** The contract: logs, commands and figures. */
import type {ExecSession} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import type {ContractBench} from './bench.ts';

export function streamContract(bench: ContractBench): void {
  describe('logs', () => {
    it('give both streams with times', async () => {
      const spec = bench.scripted('echo one; echo two >&2; exit 0');
      const runtimeId = await bench.run(spec);
      await bench.ended(spec);
      const lines = await bench.log(runtimeId);
      expect(lines.map(({stream, line}) => `${stream} ${line}`).sort()).toEqual(['stderr two', 'stdout one']);
      for (const {time} of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    });

    it('give the tail, and what lies between two times', async () => {
      const spec = bench.scripted('echo 1; echo 2; echo 3; echo 4');
      const runtimeId = await bench.run(spec);
      await bench.ended(spec);
      const all = await bench.log(runtimeId);
      expect(all.map(({line}) => line)).toEqual(['1', '2', '3', '4']);
      expect(await bench.texts(runtimeId, {tail: 2})).toEqual(['stdout 3', 'stdout 4']);
      expect(await bench.texts(runtimeId, {tail: 0})).toEqual([]);
      expect(await bench.texts(runtimeId, {since: all[1]!.time, until: all[2]!.time})).toEqual(['stdout 2', 'stdout 3']);
    });

    it('follow until the container ends', async () => {
      const spec = bench.scripted("trap 'exit 0' TERM; echo first; sleep 1000 & wait");
      const runtimeId = await bench.run(spec);
      const lines = bench.runtime.logs(runtimeId, {follow: true}, bench.over.signal)[Symbol.asyncIterator]();
      expect(await lines.next()).toMatchObject({value: {line: 'first'}});
      const next = lines.next();
      await bench.runtime.stop(runtimeId, 'SIGTERM', 30_000);
      expect(await next).toMatchObject({done: true});
    });

    it('stop when they are no longer wanted', async () => {
      const runtimeId = await bench.run(bench.scripted('echo first; sleep 1000'));
      const lines = bench.runtime.logs(runtimeId, {follow: true}, bench.over.signal)[Symbol.asyncIterator]();
      await lines.next();
      const next = lines.next();
      bench.over.abort();
      expect(await next).toMatchObject({done: true});
    });

    it('keep a long line whole', async () => {
      const long = 'x'.repeat(100_000);
      const spec = bench.scripted('echo "$LONG"; echo after', {}, {env: {LONG: long}});
      const runtimeId = await bench.run(spec);
      await bench.ended(spec);
      expect((await bench.log(runtimeId)).map(({line}) => line)).toEqual([long, 'after']);
    });
  });

  describe('exec', () => {
    const collect = async (session: ExecSession): Promise<{readonly stdout: string; readonly stderr: string; readonly exitCode: number}> => {
      const output = {stdout: '', stderr: ''};
      for await (const {stream, data} of session.output) output[stream] += Buffer.from(data).toString();
      return {...output, exitCode: await session.exitCode};
    };

    it('runs a command with its own environment, and answers its exit code', async () => {
      const runtimeId = await bench.run(bench.scripted('sleep 1000'));
      const session = await bench.runtime.exec(runtimeId, {command: ['sh', '-c', 'echo "$A"; echo bad >&2; exit 9'], tty: false, stdin: false, env: {A: 'good'}});
      expect(await collect(session)).toEqual({stdout: 'good\n', stderr: 'bad\n', exitCode: 9});
    });

    it('feeds input until it is ended', async () => {
      const runtimeId = await bench.run(bench.scripted('sleep 1000'));
      const session = await bench.runtime.exec(runtimeId, {command: ['cat'], tty: false, stdin: true});
      const size = 1_000_000;
      const result = collect(session);
      for (let sent = 0; sent < size; sent += 50_000) await session.write(Buffer.alloc(50_000, 'a'));
      session.endInput();
      expect(await result).toMatchObject({exitCode: 0, stdout: 'a'.repeat(size)});
    });

    it('says what it could not run', async () => {
      const runtimeId = await bench.run(bench.scripted('sleep 1000'));
      const {stdout, exitCode} = await collect(await bench.runtime.exec(runtimeId, {command: ['no-such-command'], tty: false, stdin: false}));
      expect(stdout).toContain('no-such-command');
      expect([126, 127]).toContain(exitCode);
    });

    it('wants a container that runs', async () => {
      const spec = bench.scripted('exit 0');
      const runtimeId = await bench.run(spec);
      await bench.ended(spec);
      await expect(bench.runtime.exec(runtimeId, {command: ['true'], tty: false, stdin: false})).rejects.toMatchObject({code: 'runtime-conflict'});
      await expect(bench.runtime.exec(runtimeId, {tty: false, stdin: false})).rejects.toMatchObject({code: 'runtime-conflict'});
    });

    it('attaches to the main process', async () => {
      const runtimeId = await bench.run(bench.scripted("trap 'exit 5' TERM; echo ready; sleep 1000 & wait"));
      // Before, the signal would meet runc, which is about to become the shell.
      await waitFor(async () => (await bench.log(runtimeId)).length === 1, {what: 'it to be ready'});
      const session = await bench.runtime.exec(runtimeId, {tty: false, stdin: false});
      const result = collect(session);
      await bench.runtime.stop(runtimeId, 'SIGTERM', 30_000);
      expect(await result).toMatchObject({exitCode: 5});
    });

    it('can be left', async () => {
      const runtimeId = await bench.run(bench.scripted('sleep 1000'));
      const session = await bench.runtime.exec(runtimeId, {tty: false, stdin: false});
      const reading = session.output[Symbol.asyncIterator]().next();
      session.close();
      expect(await reading).toMatchObject({done: true});
    });
  });

  describe('stats', () => {
    it('are there for what runs', async () => {
      const running = bench.scripted('sleep 1000');
      const finished = bench.scripted('exit 0');
      await bench.run(running);
      await bench.run(finished);
      await bench.ended(finished);
      const stats = await bench.runtime.stats([running.record.id, finished.record.id, 'no-such']);
      expect(stats).toEqual([expect.objectContaining({id: running.record.id, cpu: expect.any(Number), pids: expect.any(Number)})]);
      expect(stats[0]!.memory).toBeGreaterThan(0);
      expect(stats[0]!.memoryLimit).toBeGreaterThanOrEqual(stats[0]!.memory);
    });
  });
}
