/** The branch of the command that runs on every machine, as a program of its own: so this is apart from the others. */
import type {Command} from 'commander';
import type {Host} from './commands/define.ts';

/** A module, and the commands that it registers. */
export interface Branch {
  readonly commands: Readonly<Record<string, string>>;
  readonly load: () => Promise<{register(parent: Command, host: Host): void}>;
}

export const agentBranch: Branch = {commands: {agent: 'make this machine a node of a cluster'}, load: () => import('./commands/agent.ts')};
