/** The `hivemind` command. */
import {branches} from './branches.ts';
import {runProcess} from './program.ts';

await runProcess(branches);
