/** Starts Hivemind, unless it runs already, and deploys the demo on it. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, existsSync, mkdirSync, openSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {localNode, root, run, SetupError} from '../setup/enter.mjs';
import {demoImage} from './demo-image.mjs';
import {demoFile, pageUrls, whereabouts} from './demo.mjs';

const cli = join(root, 'apps/cli/bin/hivemind.mjs');
const readyDeadlineMs = 30_000;
const pagesDeadlineMs = 5_000;

/** Runs until Hivemind ends, or returns at once where it ran before; answers the exit status. */
export async function startDemo() {
  const place = whereabouts();
  const found = await probe(place.server);
  if (found === 'other') throw new SetupError(`Another program listens at ${place.server}. Choose another address: HIVEMIND_SERVER=http://127.0.0.1:4490 npm start`);
  if (found === 'hivemind') {
    if (!existsSync(place.tokenFile)) throw new SetupError(`Hivemind already runs at ${place.server}, with another data dir than ${place.dataDir}: set HIVEMIND_DATA_DIR to its own, or stop it first.`);
    say(`Hivemind is already running at ${place.server}: it is left as it is, and the demo is deployed on it.`);
    await deployDemo(place);
    return 0;
  }
  const hivemind = await startHivemind(place);
  try {
    await deployDemo(place);
    say(`\nHivemind runs in this terminal (log: ${place.logFile}). Ctrl-C stops it; the containers run on.`);
  } catch (error) {
    hivemind.stop();
    await hivemind.ended;
    throw error;
  }
  const status = await hivemind.ended;
  say(status === 0 ? '\nHivemind has stopped; its containers run on. `npm start` picks them up again, `npx hivemind down` removes them and keeps volumes.' : lastWords(place));
  return status;
}

/** What listens at the address: nothing, Hivemind (only it answers /livez), or something else. */
async function probe(server) {
  try {
    const response = await fetch(`${server}/livez`, {signal: AbortSignal.timeout(5_000)});
    await response.body?.cancel();
    return response.ok ? 'hivemind' : 'other';
  } catch (error) {
    return error.cause?.code === 'ECONNREFUSED' ? 'nothing' : 'other';
  }
}

async function startHivemind(place) {
  say(`Starting Hivemind at ${place.server} (data: ${place.dataDir}) …`);
  mkdirSync(place.dataDir, {recursive: true, mode: 0o700});
  const log = openSync(place.logFile, 'a', 0o600);
  const child = spawn(localNode(), [cli, 'up', '--data-dir', place.dataDir, '--listen', new URL(place.server).host], {cwd: root, stdio: ['ignore', log, log]});
  closeSync(log);
  let over = false;
  const ended = once(child, 'exit').then(([code]) => {
    over = true;
    return code ?? 1;
  });
  // Ctrl-C reaches Hivemind from the terminal; this process waits for its orderly end.
  const stop = () => child.kill('SIGTERM');
  process.on('SIGINT', () => undefined).on('SIGTERM', stop).on('SIGHUP', stop);

  const deadline = Date.now() + readyDeadlineMs;
  while (!(await isReady(place.server))) {
    if (over || Date.now() > deadline) {
      stop();
      await ended;
      throw new SetupError(`Hivemind does not become ready.\n${lastWords(place)}`);
    }
    await pause(50);
  }
  return {ended, stop};
}

async function isReady(server) {
  try {
    const response = await fetch(`${server}/readyz`, {signal: AbortSignal.timeout(2_000)});
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function deployDemo(place) {
  await demoImage();
  say('Deploying the demo, two replicas of a web page …');
  const env = {...process.env, HIVEMIND_SERVER: place.server, HIVEMIND_DATA_DIR: place.dataDir};
  const status = await run(localNode(), [cli, 'apply', '-f', demoFile, '--wait', '--timeout', '60s'], {cwd: root, env});
  if (status !== 0) throw new SetupError(`The demo could not be deployed: see above, and ${place.logFile}.`);
  const urls = await pagesThatAnswer(place);
  say(`
The demo answers:
${urls.map((url) => `  ${url}`).join('\n')}

API:   ${place.server}/docs
Token: ${place.tokenFile}

Try, in another terminal:
  npx hivemind ps -n demo
  npx hivemind app scale web 3 -n demo
  npx hivemind app logs web -f -n demo`);
}

/** The machine leads to what is ready a moment after that is. */
async function pagesThatAnswer(place) {
  const deadline = Date.now() + pagesDeadlineMs;
  for (;;) {
    const urls = await pageUrls(place);
    const problems = (await Promise.all(urls.map((url) => problemOf(url)))).filter(Boolean);
    if (urls.length > 0 && problems.length === 0) return urls;
    if (Date.now() > deadline) throw new SetupError(urls.length === 0 ? 'The demo is ready, but published nowhere.' : `Not all of the demo answers, although its containers are ready: ${problems.join('; ')}.`);
    await pause(50);
  }
}

function problemOf(url) {
  return fetch(url).then(({ok, status}) => (ok ? undefined : `${url}: status ${status}`), (error) => `${url}: ${error.cause?.message ?? error.message}`);
}

function lastWords({logFile}) {
  return existsSync(logFile) ? `Last lines of ${logFile}:\n${readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n')}` : '';
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
