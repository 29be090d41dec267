import {spawn} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {localNode, root} from '../setup/enter.mjs';
import {toolCommand, toolEnvironment} from '../run.mjs';

/** After its results are written, jest ends at once unless a test left a server or a timer behind. */
const exitGraceMs = 20_000;

/** Runs jest with `args` on this terminal, `env` beside its own; answers how many tests passed, failed and were skipped. */
export async function runJest(name, args, {scratch, full, deadlineMs, env: more = {}}) {
  process.stdout.write(`\n${name}\n`);
  const file = join(scratch, `${name.replaceAll(' ', '-')}.json`);
  const command = toolCommand('jest', [...args, '--passWithNoTests', '--json', '--outputFile', file]);
  const env = {...toolEnvironment(), ...(full && {HIVEMIND_TEST_FULL: '1'}), ...more};
  // Its JSON also goes to standard output, where nobody reads it; people read standard error.
  const child = spawn(localNode(), command, {cwd: root, env, stdio: ['ignore', 'ignore', 'inherit']});
  const problem = await end(child, file, deadlineMs);
  if (problem) process.stdout.write(`FAIL ${name}: ${problem}\n`);
  if (!existsSync(file)) return {name, passed: 0, failed: 1};
  const results = JSON.parse(readFileSync(file, 'utf8'));
  return {
    name,
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites + (problem ? 1 : 0),
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

/** Waits until jest has ended; answers what was wrong with how it did. */
function end(child, file, deadlineMs) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + deadlineMs;
    let doneAt;
    let problem;
    const watch = setInterval(() => {
      if (existsSync(file)) doneAt ??= Date.now();
      if (Date.now() > deadline) problem = `killed after ${deadlineMs / 60_000} minutes`;
      else if (doneAt && Date.now() > doneAt + exitGraceMs) problem = 'jest does not exit: a test leaves something open';
      if (problem) child.kill('SIGKILL');
    }, 500);
    child.once('error', reject);
    child.once('exit', (_code, signal) => {
      clearInterval(watch);
      resolve(problem ?? (existsSync(file) ? undefined : `jest ended early${signal ? ` (${signal})` : ''}`));
    });
  });
}
