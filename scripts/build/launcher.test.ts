import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {cpSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {sidecarNodeFlags} from '@hivemind/sidecar/program';
import {removeTempDir, tempDir} from '@hivemind/testkit';

describe('the launcher', () => {
  let dir: string;
  beforeEach(() => {
    dir = tempDir('launcher');
    mkdirSync(join(dir, 'bin'));
    cpSync(join(import.meta.dirname, 'launcher.mjs'), join(dir, 'bin/hivemind.mjs'));
    writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
    for (const program of ['hivemind', 'agent']) writeFileSync(join(dir, `${program}.js`), `console.log(JSON.stringify({program: '${program}', pid: process.pid, flags: process.execArgv, words: process.argv.slice(2), arenas: process.env.MALLOC_ARENA_MAX, trim: process.env.MALLOC_TRIM_THRESHOLD_}));`);
  });
  afterEach(() => removeTempDir(dir));

  const launch = async (flags: readonly string[], ...words: readonly string[]) => {
    const child = spawn(process.execPath, [...flags, join(dir, 'bin/hivemind.mjs'), ...words], {env: {PATH: process.env.PATH}, stdio: ['ignore', 'pipe', 'pipe']});
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    expect(err).toBe('');
    return {child: child.pid, ...(JSON.parse(out) as {program: string; pid: number; flags: string[]; words: string[]; arenas?: string; trim?: string})};
  };

  it.each([
    ['up', ['--max-semi-space-size=2'], {arenas: '2'}],
    ['agent', sidecarNodeFlags.filter((flag) => !flag.startsWith('--disable-warning')), {arenas: '1', trim: '65536'}],
  ])('starts %s anew, lean, under its own pid', async (command, lean, malloc) => {
    const {child, program, pid, flags, words, arenas, trim} = await launch(['--no-warnings'], command, '--data-dir', '/a b');
    expect({program, pid, flags, words, arenas, trim}).toEqual({program: command === 'agent' ? 'agent' : 'hivemind', pid: child, flags: ['--no-warnings', ...lean], words: [command, '--data-dir', '/a b'], ...malloc});
  });

  it('starts it as it was told where that was said', async () => {
    expect(await launch(['--max-semi-space-size=8'], 'up')).toMatchObject({flags: ['--max-semi-space-size=8']});
  });

  it('leaves what soon ends as it is', async () => {
    const {flags, words, arenas} = await launch([], 'app', 'get', 'up');
    expect({flags, words, arenas}).toEqual({flags: [], words: ['app', 'get', 'up'], arenas: undefined});
  });
});
