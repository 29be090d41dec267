/** What ships, tried as it ships: packed, installed into an empty folder, started, used, removed. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {root} from '../setup/enter.mjs';
import {toolEnvironment} from '../run.mjs';
import {runQuietly} from './process.mjs';

/** Throws at the first thing that does not work from the tarball. `scratch` is a folder outside the repository. */
export async function tryTarball(scratch) {
  const folder = join(scratch, 'install');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
  await must('npm', ['pack', join(root, 'dist/apps/cli'), '--pack-destination', scratch], {cwd: folder});
  const {version} = JSON.parse(readFileSync(join(root, 'dist/apps/cli/package.json'), 'utf8'));
  await must('npm', ['install', '--no-audit', '--no-fund', '--offline', join(scratch, `hivemind-${version}.tgz`)], {cwd: folder});

  const hivemind = join(folder, 'node_modules/.bin/hivemind');
  const printed = await must(hivemind, ['--version'], {cwd: folder});
  if (printed.trim() !== version) throw new Error(`hivemind --version prints ${JSON.stringify(printed)}, not ${version}`);
  await deployTheDemo(hivemind, folder);
  await joinTheMachine(hivemind, folder);
}

async function deployTheDemo(hivemind, cwd) {
  const [{freePort, waitFor}, {demoImage}, {demoFile, pageUrls}] = await Promise.all([
    import('../../libs/testkit/src/index.ts'),
    import('../start/demo-image.mjs'),
    import('../start/demo.mjs'),
  ]);
  await demoImage();
  const dataDir = join(cwd, 'data');
  const server = `http://127.0.0.1:${await freePort()}`;
  const env = {HIVEMIND_DATA_DIR: dataDir, HIVEMIND_SERVER: server};
  const up = startUp(hivemind, cwd, env, new URL(server).host);
  try {
    const ready = waitFor(async () => (await fetch(`${server}/readyz`)).ok, {what: 'hivemind up to be ready', deadlineMs: 30_000});
    await Promise.race([ready, up.ended.then(([code]) => Promise.reject(new Error(`hivemind up ended with status ${code}`)))]);
    await must(hivemind, ['apply', '-f', demoFile, '--wait', '--timeout', '60s'], {cwd, env});
    const urls = await waitFor(async () => {
      const found = await pageUrls({server, dataDir});
      return found.length > 0 && found;
    }, {what: 'the demo to be published'});
    for (const url of urls) await waitFor(async () => (await fetch(url)).ok, {what: `the page at ${url}`});
    await must(hivemind, ['down'], {cwd, env});
    up.child.kill('SIGTERM');
    const [code] = await up.ended;
    if (code !== 0) throw new Error(`hivemind up ended with status ${code} on SIGTERM`);
    // With nothing running it asks the engine itself, and removes the networks too.
    await must(hivemind, ['down'], {cwd, env});
  } catch (error) {
    throw new Error(`${error.message}\nthe log of hivemind up:\n${up.log()}`, {cause: error});
  } finally {
    if (up.child.exitCode === null) {
      await runQuietly(hivemind, ['down'], {cwd, env});
      up.child.kill('SIGKILL');
      await up.ended;
    }
  }
}

/** The agent and its sidecar are programs of their own. */
async function joinTheMachine(hivemind, cwd) {
  const {freePort, waitFor} = await import('../../libs/testkit/src/index.ts');
  const [listen, busPort, gossipPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const env = {HIVEMIND_DATA_DIR: join(cwd, 'control'), HIVEMIND_SERVER: `http://127.0.0.1:${listen}`};
  const up = startProgram(hivemind, cwd, env, ['up', '--listen', `127.0.0.1:${listen}`, '--no-agent', '--advertise', '127.0.0.1', '--bus-port', `${busPort}`, '--network', 'none']);
  const started = [up];
  try {
    await waitFor(async () => (await fetch(`${env.HIVEMIND_SERVER}/readyz`)).ok, {what: 'hivemind up to be ready', deadlineMs: 30_000});
    const {token} = JSON.parse(await must(hivemind, ['node', 'join-token', '-o', 'json'], {cwd, env}));
    const agentDir = join(cwd, 'agent');
    const agent = startProgram(hivemind, cwd, env, ['agent', '--join', env.HIVEMIND_SERVER, '--token', token, '--name', 'joined', '--advertise', '127.0.0.1', '--gossip-port', `${gossipPort}`, '--data-dir', agentDir]);
    started.push(agent);
    const seen = async (...words) => JSON.parse(await must(hivemind, [...words, '-o', 'json'], {cwd, env}));
    await waitFor(async () => JSON.stringify(await seen('node', 'ls')).includes('"phase":"ready"'), {what: 'the machine to be ready', deadlineMs: 30_000, intervalMs: 250});
    await waitFor(async () => JSON.stringify(await seen('membership', 'ls', '--socket', join(agentDir, 'sidecar.sock'))).includes('alive'), {what: 'its sidecar to answer', deadlineMs: 30_000, intervalMs: 250});
    for (const {child, ended} of started.toReversed()) {
      child.kill('SIGTERM');
      const [code] = await ended;
      if (code !== 0) throw new Error(`${child.spawnargs.slice(1, 3).join(' ')} ended with status ${code} on SIGTERM`);
    }
  } catch (error) {
    throw new Error(`${error.message}\nlogs:\n${started.map((one) => one.log()).join('\n')}`, {cause: error});
  } finally {
    for (const {child, ended} of started) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await ended;
    }
    // The sidecar, which outlives its agent.
    await runQuietly(hivemind, ['down', '--data-dir', join(cwd, 'agent'), '--server', 'http://127.0.0.1:9'], {cwd, env});
  }
}

const startUp = (hivemind, cwd, env, listen) => startProgram(hivemind, cwd, env, ['up', '--listen', listen]);

function startProgram(hivemind, cwd, env, words) {
  const file = join(cwd, `${words[0]}.log`);
  const output = openSync(file, 'a');
  const child = spawn(hivemind, words, {cwd, env: {...toolEnvironment(), ...env}, stdio: ['ignore', output, output]});
  closeSync(output);
  return {child, ended: once(child, 'exit'), log: () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-40).join('\n') : '')};
}

async function must(command, args, options) {
  const {status, stdout, output} = await runQuietly(command, args, {deadlineMs: 120_000, ...options});
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}: exit status ${status}\n${output}`);
  return stdout;
}
