/** Two sources side by side: this one, and the commit before it, which runs as it was. */
import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync} from 'node:fs';
import {join, resolve} from 'node:path';
import * as z from 'zod';
import {runtimeUnderTest} from '../engines.ts';

/** A source tree that programs are run from. */
export interface Checkout {
  /** Absolute, without links in it. */
  readonly dir: string;
  /** For Node: its `hivemind` command, which loads nothing of another tree. */
  readonly hivemind: readonly string[];
  /** As `hivemind`: its agent on a machine under test. */
  readonly agent: readonly string[];
}

const root = realpathSync(resolve(import.meta.dirname, '../../../..'));
const folders = ['apps', 'libs', 'packages'];
/** What runs on somebody's machine. */
const shipped = [...folders.map((folder) => `:(glob)${folder}/*/src/**`), ':(exclude,glob)**/*.test.ts', ':(exclude,glob)**/testing/**', ':(exclude)libs/testkit'];

export const thisOne: Checkout = checkout(root);

/** That commit's source in `dir`. */
export function previousOne(dir: string): Checkout & {readonly what: string} {
  const {commit, what} = choosePrevious(root);
  mkdirSync(dir, {recursive: true});
  if (commit === undefined) for (const folder of folders) cpSync(join(root, folder), join(dir, folder), {recursive: true});
  else {
    const archive = join(dir, 'source.tar');
    git(root, 'archive', '--output', archive, commit, ...folders);
    execFileSync('tar', ['-xf', archive, '-C', dir]);
  }
  linkPackages(dir);
  return {...checkout(realpathSync(dir)), what};
}

/**
 * The newest commit whose shipped code is not that of the working tree `at`: with changes that are not committed, the last one; else
 * the one before the last that changed any. `what` says which, or why there is none and the code is compared with itself.
 */
export function choosePrevious(at: string): {readonly commit: string | undefined; readonly what: string} {
  const head = attempt(at, 'rev-parse', '--verify', '--quiet', 'HEAD');
  if (head === undefined) return {commit: undefined, what: 'this code itself: there is no history here'};
  if (git(at, 'status', '--porcelain', '--', ...shipped) !== '') return {commit: head, what: `${head.slice(0, 7)}, the last commit, as there are changes since`};
  const last = git(at, 'log', '-1', '--format=%H', '--', ...shipped);
  const before = attempt(at, 'rev-parse', '--verify', '--quiet', `${last}^`);
  if (before === undefined) return {commit: head, what: 'this code itself: the history that is here (a shallow clone) does not go back to a commit before'};
  return {commit: before, what: `${before.slice(0, 7)}, the commit before ${last.slice(0, 7)}`};
}

/** Packages of others are shared; each of its own is found in that tree, where it was then. */
function linkPackages(dir: string): void {
  const modules = join(dir, 'node_modules');
  mkdirSync(join(modules, '@hivemind'), {recursive: true});
  for (const entry of readdirSync(join(root, 'node_modules'))) {
    if (!entry.startsWith('.') && entry !== '@hivemind') symlinkSync(join(root, 'node_modules', entry), join(modules, entry));
  }
  for (const place of folders.flatMap((folder) => readdirSync(join(dir, folder)).map((name) => join(dir, folder, name)))) {
    const {name} = z.object({name: z.string().startsWith('@hivemind/')}).parse(JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')));
    symlinkSync(place, join(modules, name));
  }
}

function checkout(dir: string): Checkout {
  const guard = new URL('./only-this-tree.ts', import.meta.url);
  guard.searchParams.set('tree', dir);
  const program = (path: string): readonly string[] => ['--import', guard.href, join(dir, path)];
  return {dir, hivemind: program('apps/cli/src/main.ts'), agent: program(runtimeUnderTest() === 'docker' ? 'apps/cli/src/main.ts' : 'apps/agent/test/containerd-agent.ts')};
}

function git(cwd: string, ...args: readonly string[]): string {
  return execFileSync('git', args, {cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']}).trim();
}

function attempt(cwd: string, ...args: readonly string[]): string | undefined {
  try {
    return git(cwd, ...args);
  } catch {
    return undefined;
  }
}
