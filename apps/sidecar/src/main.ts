/** The sidecar as a program of its own, with the flags of `hivemind membership` and half of that command's memory. */
import {homedir} from 'node:os';
import {join, resolve} from 'node:path';
import {parseArgs} from 'node:util';
import {isError} from '@hivemind/contracts/define-errors';
import {flagErrors, type FlagValues, type SidecarFlag, sidecarFlags} from './flags.ts';
import {runSidecar} from './run.ts';

const flags: readonly SidecarFlag[] = sidecarFlags;

function values(argv: readonly string[]): FlagValues {
  const options = Object.fromEntries([...flags, {name: 'data-dir'} as const].map((flag) => [flag.name, {type: 'string' as const, multiple: 'repeat' in flag && flag.repeat === true}]));
  try {
    return parseArgs({args: [...argv], options}).values;
  } catch (error) {
    throw flagErrors['wrong-usage']((error as Error).message);
  }
}

/** With or without the word of that command, by which people find the process. */
const words = process.argv.slice(process.argv[2] === 'membership' ? 3 : 2);

try {
  const given = values(words);
  const dataDir = resolve(typeof given['data-dir'] === 'string' ? given['data-dir'] : process.env.HIVEMIND_DATA_DIR || join(homedir(), '.hivemind'));
  await runSidecar({values: given, dataDir, cwd: process.cwd(), level: process.env.HIVEMIND_LOG_LEVEL, print: (text) => void process.stdout.write(text)});
} catch (error) {
  process.stderr.write(`hivemind sidecar: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isError(error, 'wrong-usage') ? 2 : 1;
}
