/**
 * `npm run test:faults -- --seed N --minutes M [--runtime containerd]`: a cluster of three machines, things going wrong as the seed says, and a look
 * at whether every promise was kept. The exit status is 0 only then.
 */
import {parseArgs} from 'node:util';
import {runCampaign} from './campaign.ts';
import {regressions, type Regression} from './regressions.ts';
import {faultText} from './schedule.ts';

const {values} = parseArgs({
  options: {
    seed: {type: 'string'},
    minutes: {type: 'string', default: '10'},
    runtime: {type: 'string', default: 'docker'},
    /** The control side as one process, which is killed as one; else each service is. */
    together: {type: 'boolean', default: false},
    regressions: {type: 'boolean', default: false},
    /** A directory for what everybody said and wrote. */
    evidence: {type: 'string'},
    quiet: {type: 'boolean', default: false},
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
const minutes = Number(values.minutes);
const runtime = values.runtime === 'docker' || values.runtime === 'containerd' ? values.runtime : undefined;
if (!Number.isInteger(seed) || !(minutes > 0) || runtime === undefined) {
  process.stderr.write('--seed takes a whole number, --minutes a number above 0, --runtime docker or containerd\n');
  process.exit(2);
}
const runs: readonly Regression[] = values.regressions ? regressions : [{seed, minutes, services: values.together ? 'together' : 'apart', found: ''}];
let failed = 0;
for (const run of runs) {
  const passed = await passes(run).catch((error: unknown) => {
    say(`FAILED: seed ${run.seed} was not seen through: ${error instanceof Error ? error.stack : String(error)}`);
    return false;
  });
  if (!passed) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;

async function passes({seed, minutes, services, found}: Regression): Promise<boolean> {
  say(`seed ${seed}, ${minutes} minutes, services ${services}, ${runtime}${found === '' ? '' : `; once found: ${found}`}`);
  const {violations, faults, changes, convergedMs} = await runCampaign({seed, durationMs: minutes * 60_000, services, ...(runtime === undefined ? {} : {runtime}), ...(values.quiet ? {} : {tell: say}), ...(values.evidence === undefined ? {} : {evidence: values.evidence})});
  if (violations.length === 0) {
    say(`passed: ${faults.length} faults, ${changes} changes, converged ${(convergedMs / 1000).toFixed(1)} s after the last`);
    return true;
  }
  say(`FAILED: seed ${seed}. ${faults.length} faults, ${changes} changes:`);
  for (const fault of faults) say(faultText(fault));
  for (const violation of violations) say(`violated: ${violation}`);
  if (found === '') say(`To keep it (regressions.ts): ${JSON.stringify({seed, minutes, services, found: violations[0]})}`);
  return false;
}
