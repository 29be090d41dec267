/**
 * What every script here begins with: the npm packages are there and up to date, and this very script
 * runs on the Node that came with them. Nothing in this file may need a package or more than Node 18.
 */
import {spawn, spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const wantedMajor = 24;

/** Why a set-up step cannot go on, in words for the person at the terminal. */
export class SetupError extends Error {}

/**
 * Runs `main` on Node 24 with all npm packages in place: installs them where needed, and starts this
 * process's script again under the local Node where this one is too old. Exits with main's status.
 */
export async function enter(main) {
  try {
    installPackages();
    const node = localNode();
    process.exitCode = major(process.version) >= wantedMajor ? await main() : await runScriptAgain(node);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Path of a Node that runs TypeScript as it stands: the one that came with npm, else this one. */
export function localNode() {
  const local = join(root, 'node_modules/.bin/node');
  if (nodeMajor(local) >= wantedMajor) return local;
  if (major(process.version) >= wantedMajor) return process.execPath;
  npm(['rebuild', '--ignore-scripts=false', '--foreground-scripts', '--loglevel=error', 'node']);
  if (nodeMajor(local) >= wantedMajor) return local;
  throw new SetupError(`Node ${wantedMajor} is needed and this is ${process.version}: the npm package "node" did not install one.\nInstall Node ${wantedMajor} yourself, then try again.`);
}

function installPackages() {
  const reason = whyInstall();
  if (!reason) return;
  process.stdout.write(`Installing npm packages (${reason}) …\n`);
  // No package needs its install script to work, but for the one that brings Node; some would try to compile.
  npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

function npm(args) {
  const {status, error} = spawnSync('npm', args, {cwd: root, stdio: ['ignore', 'inherit', 'inherit']});
  if (status !== 0) throw new SetupError(`npm ${args[0]} failed${error ? `: ${error.message}` : ''}: see above. It needs the network, or a filled npm cache.`);
}

/** Compares package-lock.json with the list that npm leaves in node_modules once it is done. */
function whyInstall() {
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  if (!wanted) throw new SetupError('package-lock.json is missing: this is not a whole checkout.');
  if (!present) return 'none are there yet';
  for (const [path, {version, link, optional}] of Object.entries(wanted)) {
    if (link ? !existsSync(join(root, path)) : isPackage(path) && !optional && present[path]?.version !== version) return `${path.replace('node_modules/', '')} is not up to date`;
  }
  return undefined;
}

function isPackage(path) {
  return path.startsWith('node_modules/');
}

function packagesOf(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

function nodeMajor(path) {
  const {stdout} = spawnSync(path, ['--version'], {encoding: 'utf8'});
  return stdout ? major(stdout) : 0;
}

function major(version) {
  return Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
}

function runScriptAgain(node) {
  return run(node, [...process.execArgv, ...process.argv.slice(1)]);
}

/**
 * Runs a command on this terminal and answers its exit status. It gets SIGINT from the terminal by
 * itself; SIGTERM is passed on; this process outlives it, so that a shell's prompt returns last.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {stdio: 'inherit', ...options});
    const stay = () => undefined;
    const pass = (signal) => child.kill(signal);
    process.on('SIGINT', stay).on('SIGTERM', pass).on('SIGHUP', pass);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', stay).off('SIGTERM', pass).off('SIGHUP', pass);
      resolve(code ?? (signal ? 1 : 0));
    });
  });
}
