import {execFileSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {choosePrevious} from './checkout.ts';

describe('the commit before this one', () => {
  const dir = tempDir('history');
  const repository = join(dir, 'repository');
  afterAll(() => removeTempDir(dir));

  const git = (...args: readonly string[]) => execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {cwd: repository, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']}).trim();
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(repository, path)), {recursive: true});
    writeFileSync(join(repository, path), text);
  };
  const commit = (path: string, text: string): string => {
    write(path, text);
    git('add', path);
    git('commit', '--quiet', '--message', text);
    return git('rev-parse', 'HEAD');
  };

  it('is the one before the last that changed what is shipped, or the last one where there are changes since', () => {
    mkdirSync(repository);
    expect(choosePrevious(dir)).toEqual({commit: undefined, what: expect.stringContaining('no history')});
    git('init', '--quiet');
    const first = commit('apps/cli/src/main.ts', 'one');
    expect(choosePrevious(repository)).toEqual({commit: first, what: expect.stringContaining('does not go back')});
    const second = commit('libs/bus/src/index.ts', 'two');
    expect(choosePrevious(repository).commit).toBe(first);
    commit('docs/operations.md', 'told');
    commit('apps/cli/src/main.test.ts', 'tested');
    expect(choosePrevious(repository)).toEqual({commit: first, what: expect.stringContaining(second.slice(0, 7))});
    write('README.md', 'changes nothing that runs');
    const head = git('rev-parse', 'HEAD');
    expect(choosePrevious(repository).commit).toBe(first);
    write('packages/app/src/new.ts', 'not committed');
    expect(choosePrevious(repository)).toEqual({commit: head, what: expect.stringContaining('changes since')});
  });

  it('is this code itself in a shallow clone, which says so', () => {
    const shallow = join(dir, 'shallow');
    execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${repository}`, shallow]);
    expect(choosePrevious(shallow)).toEqual({commit: git('rev-parse', 'HEAD'), what: expect.stringContaining('shallow')});
  });
});
