/** The `hivemind` command. */
import {run} from './program.ts';
import {processTerminal} from './terminal.ts';

// `hivemind ps | head`: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.exitCode = await run(process.argv.slice(2), processTerminal());
