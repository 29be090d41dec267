/** Starting the dev cluster, reaching it, and removing it. */
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {request} from 'node:https';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {demoImage} from '../start/demo-image.mjs';
import {root, SetupError} from '../setup/enter.mjs';
import {compose} from './compose.mjs';
import {clusterImages} from './images.mjs';
import {pipe} from './pipe.mjs';

export const machines = ['node1', 'node2', 'node3'];
const readyDeadlineMs = 90_000;

const projectName = () => process.env.COMPOSE_PROJECT_NAME || 'hivemind-dev';
/** A data dir for the command, with the cluster's token and authority. */
const dataDirOf = (project) => join(root, 'tmp', project);

/** Starts it and waits until it takes work; answers where it is. Started again, it is brought up to date and keeps its data. */
export async function clusterUp({say, project = projectName(), env = process.env, images}) {
  images ??= await clusterImages({say});
  say('Starting the cluster …');
  await compose(['up', '-d', '--no-build', '--remove-orphans'], {project, env: {...env, ...images}});
  const dataDir = dataDirOf(project);
  const server = `https://127.0.0.1:${env.HIVEMIND_PORT || 4483}`;
  const at = {project, server, dataDir, env: {...env, ...images}};
  await until('the gateway to be ready', async () => {
    await fetchCredentials(at);
    return (await call(at, 'GET', '/readyz')).status === 200;
  });
  await until('three machines to be ready', async () => {
    const {body} = await call(at, 'GET', '/api/v1/nodes');
    return machines.every((name) => body.items.some((node) => node.name === name && node.status.phase === 'ready'));
  });
  say('Loading the demo\'s image into the machines …');
  await loadImage(await demoImage(), at);
  say(`
The cluster runs:
  export HIVEMIND_SERVER=${server} HIVEMIND_DATA_DIR=${dataDir}
  npx hivemind node ls
  npx hivemind apply -f deploy/demo/docker-compose.yml --wait

docker kill ${project}_node1_1 (or ${project}-node1-1) takes a machine away; npm run cluster:down removes everything.`);
  return at;
}

/** Removes its containers, networks, volumes and credentials. */
export async function clusterDown({project = projectName(), env = process.env} = {}) {
  await compose(['down', '--volumes', '--remove-orphans', '--timeout', '5'], {project, env});
  rmSync(dataDirOf(project), {recursive: true, force: true});
}

/** Copies an image of this machine's engine into each of the cluster's: they may have nowhere to pull from. */
export async function loadImage(image, {project, env}) {
  await Promise.all(machines.map(async (machine) => {
    const id = (await compose(['ps', '-q', machine], {project, env})).trim();
    await pipe(['docker', 'save', image], ['docker', 'exec', '-i', id, 'docker', 'load', '-q'], `${machine} did not take the image ${image}`);
  }));
}

/** The admin token and the authority's certificate, as the gateway wrote them. */
async function fetchCredentials({project, dataDir, env}) {
  mkdirSync(dataDir, {recursive: true, mode: 0o700});
  for (const [file, mode] of [['admin.token', 0o600], ['ca.crt', 0o644]]) {
    writeFileSync(join(dataDir, file), await compose(['exec', '-T', 'gateway', 'cat', `/var/lib/hivemind/${file}`], {project, env}), {mode});
  }
}

/** A request of the API with the admin token; parsed JSON where it is. */
export function call({server, dataDir}, method, path, body) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
  const headers = {authorization: `Bearer ${token}`, ...(text !== undefined && {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)})};
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server}${path}`, {method, headers, ca: readFileSync(join(dataDir, 'ca.crt')), agent: false, timeout: 10_000}, (incoming) => {
      let answer = '';
      incoming.setEncoding('utf8').on('data', (chunk) => (answer += chunk)).once('error', reject);
      incoming.once('end', () => resolve({status: incoming.statusCode, body: parsed(answer)}));
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error(`${method} ${path} was not answered within 10 s`)));
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function until(what, condition) {
  for (const deadline = Date.now() + readyDeadlineMs; ; await sleep(250)) {
    const problem = await condition().then((done) => (done ? undefined : 'not yet'), (error) => error.message);
    if (problem === undefined) return;
    if (Date.now() > deadline) throw new SetupError(`The cluster does not come up; waited ${readyDeadlineMs / 1000} s for ${what}.\n${problem}`);
  }
}
