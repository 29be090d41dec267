/** Compose, in whichever of its two lives this machine has it. */
import {join} from 'node:path';
import {installDebianPackages} from '../setup/debian.mjs';
import {root, SetupError} from '../setup/enter.mjs';
import {runQuietly} from '../test/process.mjs';

const candidates = [['docker', 'compose'], ['docker-compose']];

/** Words that a command line of compose begins with; installs Debian's where there is none. */
export async function composeCommand() {
  const found = await find();
  if (found) return found;
  await installDebianPackages(['docker-compose']);
  const installed = await find();
  if (!installed) throw new SetupError('Neither `docker compose` nor `docker-compose` runs here.');
  return installed;
}

async function find() {
  for (const words of candidates) {
    const {status} = await runQuietly(words[0], [...words.slice(1), 'version']).catch(() => ({status: 127}));
    if (status === 0) return words;
  }
  return undefined;
}

/** Runs compose on the dev cluster to its end; answers what it wrote to standard output. */
export async function compose(args, {project, env = {}}) {
  const [command, ...words] = await composeCommand();
  const {status, stdout, output} = await runQuietly(command, [...words, '-f', join(root, 'docker-compose.yml'), '-p', project, ...args], {env, deadlineMs: 180_000});
  if (status !== 0) throw new SetupError(`compose ${args.join(' ')} failed:\n${output.trim().split('\n').slice(-30).join('\n')}`);
  return stdout;
}
