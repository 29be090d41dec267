/** `hivemind agent` as a program of its own: it stays in memory on every machine, and needs a third of the command. */
import {agentBranch} from './agent-branch.ts';
import {runProcess} from './program.ts';

await runProcess([agentBranch]);
