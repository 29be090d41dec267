/**
 * The command's tree. Only the branch that is used is loaded: start-up is most of what a person waits for, and `ps` has no
 * need of what `up` needs.
 */
import {Command, CommanderError} from 'commander';
import {isError} from '@hivemind/contracts';
import {exampleText, type Host} from './commands/define.ts';
import {WRONG_USAGE} from './errors.ts';
import {printError} from './output/error-text.ts';
import type {Branch} from './agent-branch.ts';
import {processTerminal, type Terminal} from './terminal.ts';
import {version} from '@hivemind/contracts/version';

/** Options of every command that take a value: the word after one is no command. */
const valueOptions = new Set(['-o', '--output', '-n', '--namespace', '--server', '--token', '--data-dir', '--ca']);

/** All of a process: its words, its terminal, its exit status. */
export async function runProcess(branches: readonly Branch[]): Promise<void> {
  // `hivemind ps | head`: the reader has what it wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.exitCode = await run(process.argv.slice(2), processTerminal(), branches);
}

/**
 * @param branches What this program can do.
 * @returns the exit status: 0 done, 1 failed, 2 wrong usage
 */
export async function run(argv: readonly string[], terminal: Terminal, branches: readonly Branch[]): Promise<number> {
  let status = 0;
  const host: Host = {terminal, exit: (code) => void (status = code)};
  try {
    const program = await buildProgram(branches, wanted(argv), host);
    await program.parseAsync([...argv], {from: 'user'});
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' && argv.length === 0 ? 0 : WRONG_USAGE;
    printError(error, terminal.err);
    return isError(error, 'wrong-usage') ? WRONG_USAGE : 1;
  }
}

/** The tree with the named branches loaded, and the others as names only; all of it when `names` is undefined. */
export async function buildProgram(branches: readonly Branch[], names: ReadonlySet<string> | undefined, host: Host): Promise<Command> {
  const program = new Command('hivemind');
  program
    .description('Containers, described once and kept running.')
    .version(version, '-V, --version', 'print the version of this command')
    .option('-o, --output <format>', 'table, wide, json or yaml')
    .option('-n, --namespace <namespace>', 'namespace; * for all, where a list is asked for (default: default)')
    .option('--server <url>', 'where Hivemind listens (default: HIVEMIND_SERVER, else api.url of the data dir, else http://127.0.0.1:4483)')
    .option('--token <token>', 'token (default: HIVEMIND_TOKEN, else what login kept, else admin.token of the data dir)')
    .option('--data-dir <dir>', 'data dir (default: HIVEMIND_DATA_DIR, else ~/.hivemind)')
    .option('--ca <file>', 'authority of the server\'s certificate (default: HIVEMIND_CA, else ca.crt of the data dir)')
    .configureHelp({showGlobalOptions: true})
    .configureOutput({
      writeOut: (text) => void host.terminal.out.write(text),
      writeErr: (text) => void host.terminal.err.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'hivemind: ')),
    })
    .showHelpAfterError('Add --help for how it is used.')
    .exitOverride()
    .addHelpText('after', exampleText(['up', 'apply -f docker-compose.yml --wait', 'app ls', 'logs web -f']));
  for (const {commands, load} of branches) {
    if (names === undefined || Object.keys(commands).some((name) => names.has(name))) (await load()).register(program, host);
    else for (const [name, summary] of Object.entries(commands)) program.command(name).description(summary);
  }
  return program;
}

/** The first word that is no option; after `help`, the one that follows. */
function wanted(argv: readonly string[]): ReadonlySet<string> {
  const words: string[] = [];
  for (let index = 0; index < argv.length && words.length < 2; index++) {
    const word = argv[index] ?? '';
    if (valueOptions.has(word)) index++;
    else if (!word.startsWith('-')) words.push(word);
  }
  return new Set(words[0] === 'help' ? words.slice(1) : words.slice(0, 1));
}
