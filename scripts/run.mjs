/**
 * Runs a tool of this repository on its own Node, whatever Node is installed, after making sure that
 * the npm packages are there: `node scripts/run.mjs eslint .`, `node scripts/run.mjs bench/main.ts`.
 */
import {existsSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {enter, localNode, root, run, SetupError} from './setup/enter.mjs';

/** Names of tools to their JavaScript, so that none is started through a shebang and another Node. */
const tools = {
  eslint: 'node_modules/eslint/bin/eslint.js',
  jest: 'node_modules/jest/bin/jest.js',
  nx: 'node_modules/nx/dist/bin/nx.js',
  tsc: 'node_modules/typescript/bin/tsc',
};

/** The environment in which tools run: local binaries first, modules for jest, nothing phones home. */
export function toolEnvironment(env = process.env) {
  return {
    ...env,
    PATH: `${join(root, 'node_modules/.bin')}${delimiter}${env.PATH}`,
    // Programs that tests start from source are stripped of their types once: a second of processor time each.
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? join(root, 'node_modules/.cache/hivemind-programs'),
    NODE_OPTIONS: `${env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`.trim(),
    NX_DAEMON: 'false',
    NX_NO_CLOUD: 'true',
    NX_TUI: 'false',
    // Some tools take CI for a terminal with colours.
    ...(!process.stdout.isTTY && {NO_COLOR: '1'}),
  };
}

/** Node's arguments for a tool's name or a script's path. */
export function toolCommand(name, args) {
  const script = tools[name] ?? name;
  if (!existsSync(join(root, script))) throw new SetupError(`${name} is neither a tool of this repository (${Object.keys(tools).join(', ')}) nor a script in it.`);
  return [script, ...args];
}

if (import.meta.url === `file://${process.argv[1]}`) {
  await enter(() => {
    const [name, ...args] = process.argv.slice(2);
    return run(localNode(), toolCommand(name ?? '', args), {cwd: root, env: toolEnvironment()});
  });
}
