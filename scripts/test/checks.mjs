/** The checks of `npm test`, in order. One that fails does not keep the next from running. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {runTool} from './process.mjs';
import {runJest} from './jest.mjs';
import {tryTarball} from './tarball.mjs';

const minutes = 60_000;
/** Integration tests whose machines are network namespaces, or whose servers are their own: what they do does not reach this machine's engine. */
const onMachines = ['/apps/agent/test/integration/', '/packages/network/test/integration/', '/libs/testkit/test/integration/machines'];
const onServers = ['/apps/sidecar/test/integration/', '/packages/membership/test/integration/', '/packages/container/test/integration/containerd'];
const besideTheEngine = [...onMachines, ...onServers];

/** Runs the checks that `options` ask for, prints the sum as the last line, answers the exit status. */
export async function runChecks({full, unit, paths}) {
  const scratch = mkdtempSync(join(tmpdir(), 'hivemind-checks-'));
  const whole = paths.length === 0 && !unit;
  const ignored = ['--testPathIgnorePatterns', '/node_modules/', '/dist/', ...(full ? [] : ['\\.full\\.test\\.ts$'])];
  const beside = [...ignored, '/test/integration/'];
  const integration = ['--runInBand', '--testPathPatterns', paths.length > 0 ? paths.map((path) => `${path}.*/test/integration/`).join('|') : '/test/integration/'];
  const deadlineMs = (full ? 60 : 12) * minutes;

  const jobs = [
    () => runJest('tests', [...paths, ...beside, '--maxWorkers=2'], {scratch, full, deadlineMs}),
    // One at a time: they measure and kill real servers, and share one engine. Machines have engines and networks of their own. Half of
    // the time they wait: lint and types take what is left of the processor.
    whole && (() => Promise.all([
      inTurn([() => check('lint', ['eslint', '.', '--max-warnings', '0']), () => check('types', ['tsc', '--project', 'tsconfig.json'])]),
      runJest('integration tests', [...integration, ...ignored, ...besideTheEngine], {scratch, full, deadlineMs}),
      runJest('tests of machines and servers', ['--runInBand', '--testPathPatterns', besideTheEngine.join('|')], {scratch, full, deadlineMs}),
    ])),
    // What clusters of machines do with the Docker Engine, once more with containerd.
    whole && full && (() => runJest('machines with containerd', ['--runInBand', '--testPathPatterns', '/apps/agent/test/integration/(machines|.*\\.full)\\.test'], {scratch, full, deadlineMs, env: {HIVEMIND_TEST_RUNTIME: 'containerd'}})),
    !whole && !unit && (() => runJest('integration tests', integration, {scratch, full, deadlineMs})),
    whole && (() => check('bundles', ['nx', 'run-many', '--target', 'build'])),
    whole && (() => timed('tarball', () => tryTarball(scratch))),
  ];
  const results = [];
  try {
    for (const job of jobs.filter(Boolean)) results.push(...[await job()].flat(2));
  } finally {
    rmSync(scratch, {recursive: true, force: true});
  }
  return report(results);
}

/** A tool that counts as one test. Its output is shown when it is done, so that two can run at once. */
function check(name, command) {
  return timed(name, async () => {
    const {status, output} = await runTool(command, {deadlineMs: 10 * minutes, patient: true});
    // A linter that skips a rule has not found that it holds.
    if (status !== 0 || output.includes('rule will be skipped')) throw new Error(output);
  });
}

async function inTurn(jobs) {
  const results = [];
  for (const job of jobs) results.push(await job());
  return results;
}

async function timed(name, work) {
  const started = performance.now();
  const say = (mark, more = '') => process.stdout.write(`${mark} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)${more}\n`);
  try {
    await work();
    say('PASS');
    return {name, passed: 1, failed: 0};
  } catch (error) {
    say('FAIL', `\n${error.message}`);
    return {name, passed: 0, failed: 1};
  }
}

function report(results) {
  const sum = (field) => results.reduce((total, result) => total + (result[field] ?? 0), 0);
  process.stdout.write('\n');
  for (const {name, passed, failed, skipped = 0} of results) {
    process.stdout.write(`${failed ? 'FAIL' : 'PASS'} ${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
  }
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  return sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}
