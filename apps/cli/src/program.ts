/**
 * The command's tree. Only the branch that is used is loaded: start-up is most of what a person waits for, and `ps` has no
 * need of what `up` needs.
 */
import {Command, CommanderError} from 'commander';
import {isError} from '@hivemind/contracts';
import {exampleText, type Host} from './commands/define.ts';
import {WRONG_USAGE} from './errors.ts';
import {printError} from './output/error-text.ts';
import type {Terminal} from './terminal.ts';
import {version} from '@hivemind/contracts/version';

/** A module, and the commands that it registers. */
interface Branch {
  readonly commands: Readonly<Record<string, string>>;
  readonly load: () => Promise<{register(parent: Command, host: Host): void}>;
}

const branches: readonly Branch[] = [
  {commands: {up: 'start Hivemind on this machine'}, load: () => import('./commands/up.ts')},
  {commands: {service: 'services of the cluster; or run one manager, or a gateway, alone'}, load: () => import('./commands/service.ts')},
  {commands: {bus: 'the NATS that the services of a cluster share'}, load: () => import('./commands/bus.ts')},
  {commands: {agent: 'make this machine a node of a cluster'}, load: () => import('./commands/agent.ts')},
  {commands: {down: 'stop and remove every container of this data dir\'s cluster; volumes stay'}, load: () => import('./commands/down.ts')},
  {commands: {apply: 'make it so: a Compose file or manifests'}, load: () => import('./commands/apply.ts')},
  {commands: {plan: 'what applying a file would change'}, load: () => import('./commands/plan.ts')},
  {commands: {delete: 'delete what a file describes; volumes stay'}, load: () => import('./commands/delete.ts')},
  {commands: {app: 'apps: deploy, look at, scale, restart, roll back'}, load: () => import('./commands/app.ts')},
  {commands: {ps: 'containers'}, load: () => import('./commands/ps.ts')},
  {commands: {logs: 'what a container, or all of an app, print'}, load: () => import('./commands/logs.ts')},
  {commands: {exec: 'run a command in a container', attach: 'connect to the main process of a container'}, load: () => import('./commands/exec.ts')},
  {commands: {stats: 'what containers use', top: 'the same, refreshed'}, load: () => import('./commands/stats.ts')},
  {commands: {node: 'machines'}, load: () => import('./commands/node.ts')},
  {commands: {membership: 'the sidecar of this machine, and what it knows of the ring'}, load: () => import('./commands/membership.ts')},
  {commands: {deployment: 'rollouts: pause, resume, roll back, abort'}, load: () => import('./commands/deployment.ts')},
  {commands: {network: 'how containers of different machines reach each other'}, load: () => import('./commands/network.ts')},
  {commands: {volume: 'volumes'}, load: () => import('./commands/volume.ts')},
  {commands: {policy: 'network policies'}, load: () => import('./commands/policy.ts')},
  {commands: {secret: 'secrets'}, load: () => import('./commands/secret.ts')},
  {commands: {config: 'configs'}, load: () => import('./commands/config.ts')},
  {commands: {image: 'images: list, pull, build'}, load: () => import('./commands/image.ts')},
  {commands: {namespace: 'namespaces'}, load: () => import('./commands/namespace.ts')},
  {commands: {events: 'changes as they happen'}, load: () => import('./commands/events.ts')},
  {commands: {cluster: 'adopt what runs, after a store was lost or put back'}, load: () => import('./commands/cluster.ts')},
  {commands: {store: 'export and import the cluster\'s store'}, load: () => import('./commands/store.ts')},
  {commands: {status: 'how the cluster is', version: 'versions of command and server'}, load: () => import('./commands/status.ts')},
  {commands: {login: 'check a token and keep it', logout: 'forget the token of a server'}, load: () => import('./commands/login.ts')},
  {commands: {completion: 'shell completion'}, load: () => import('./commands/completion.ts')},
];
/** Options of every command that take a value: the word after one is no command. */
const valueOptions = new Set(['-o', '--output', '-n', '--namespace', '--server', '--token', '--data-dir', '--ca']);

/** @returns the exit status: 0 done, 1 failed, 2 wrong usage */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const host: Host = {terminal, exit: (code) => void (status = code)};
  try {
    const program = await buildProgram(wanted(argv), host);
    await program.parseAsync([...argv], {from: 'user'});
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' && argv.length === 0 ? 0 : WRONG_USAGE;
    printError(error, terminal.err);
    return isError(error, 'wrong-usage') ? WRONG_USAGE : 1;
  }
}

/** The tree with the named branches loaded, and the others as names only; all of it when `names` is undefined. */
export async function buildProgram(names: ReadonlySet<string> | undefined, host: Host): Promise<Command> {
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
