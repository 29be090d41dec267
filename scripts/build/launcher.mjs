#!/usr/bin/env node
// The installed command.
import {enableCompileCache} from 'node:module';

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`hivemind needs Node 24 or newer; this is ${process.version}.\n`);
  process.exit(1);
}

// MB of room for what lives shortly, in programs that live as long as their machine. By itself Node takes up to 48 for it and gives
// little back: a third of such a process. That can be said before a start only, so the process starts anew, under its pid. An agent
// has little to do beside, and gives speed for memory: with V8 13 (Node 24) code is compiled where it is called ten thousands of times,
// and once; another V8 might not know one of these words, and would not start. What it frees goes back to the system: buffers that
// sockets read into are mapped apart, and leave no holes behind.
const leanV8 = process.versions.v8.startsWith('13.') ? ['--no-opt', '--no-sparkplug', '--invocation-count-for-maglev=20000', '--memory-saver-mode', '--compact-on-every-full-gc', '--bytecode-old-age=1'] : [];
const lean = new Map([
  ['up', {flags: ['--max-semi-space-size=2'], env: {MALLOC_ARENA_MAX: '2'}}],
  ['agent', {
    flags: ['--max-semi-space-size=1', '--optimize-for-size', '--v8-pool-size=1', ...leanV8],
    env: {MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536', MALLOC_TOP_PAD_: '16384', MALLOC_MMAP_THRESHOLD_: '32768'},
  }],
]);
const own = lean.get(process.argv[2]);
const isSaid = process.execArgv.some((flag) => flag.startsWith('--max-semi-space-size'));
if (own !== undefined && !isSaid && process.execve !== undefined) {
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...own.flags, ...process.argv.slice(1)], {...own.env, ...process.env});
}

// It compiles once: the next start reads V8's code from disk. An agent takes less memory without: what it never calls is not compiled.
if (process.argv[2] !== 'agent') enableCompileCache();
// Those of bundled packages are for their authors; Node only mutes them under node_modules.
process.noDeprecation = true;
// An agent needs a third of the command: a program of its own.
await import(process.argv[2] === 'agent' ? '../agent.js' : '../hivemind.js');
