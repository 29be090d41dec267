/** The images that docker-compose.yml asks for: pulled, built, or made of Debian packages where nothing can be pulled. */
import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {installDebianPackages} from '../setup/debian.mjs';
import {localNode, root, SetupError} from '../setup/enter.mjs';
import {runQuietly, runTool} from '../test/process.mjs';
import {pipe} from './pipe.mjs';

const mirror = 'http://deb.debian.org/debian';
const debianImage = 'hivemind-dev/debian:12';
/** As in docker-compose.yml. */
const pulled = {NATS_IMAGE: 'nats:2.12-alpine', REDIS_IMAGE: 'redis:8-alpine', NODE_IMAGE: 'node:24-bookworm-slim'};
const built = {NATS_IMAGE: 'hivemind-dev/nats', REDIS_IMAGE: 'hivemind-dev/redis', NODE_IMAGE: 'hivemind-dev/node'};
/** Not for ever: a first build downloads some hundred megabytes. */
const deadlineMs = 900_000;

/** Builds Hivemind's images with this checkout in them; answers the environment in which compose finds everything. */
export async function clusterImages({say}) {
  const bases = await baseImages(say);
  say('Bundling Hivemind …');
  await must(runTool(['scripts/build.mjs', 'apps/cli'], {deadlineMs}), 'apps/cli was not bundled');
  say('Building the images of services and machines …');
  for (const target of ['machine', 'hivemind']) {
    await buildImage({tag: `hivemind-dev/${target}`, target, dir: root, file: 'deploy/Dockerfile', args: {NODE_IMAGE: bases.NODE_IMAGE, BUNDLE: 'host'}});
  }
  // Each build leaves the one before it without a name.
  await runQuietly('docker', ['image', 'prune', '--force', '--filter', 'label=io.hivemind.built=here'], {deadlineMs});
  return bases;
}

/** Those that the environment names, else the usual ones, else those of Debian packages. */
async function baseImages(say) {
  const named = Object.fromEntries(Object.keys(pulled).flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  const missing = Object.keys(pulled).filter((name) => !(name in named));
  if (missing.length === 0) return named;
  if (process.env.HIVEMIND_IMAGES !== 'debian') {
    const problem = await pullAll(missing.map((name) => pulled[name]));
    if (!problem) return {...pulled, ...named};
    say(`Images cannot be pulled (${problem}): they are made of Debian packages.`);
  }
  await debianImages(missing, say);
  return {...built, ...named};
}

/** Answers why not. */
async function pullAll(images) {
  for (const image of images) {
    if (await exists(image)) continue;
    const {status, output} = await runQuietly('docker', ['pull', '-q', image], {deadlineMs});
    if (status !== 0) return output.trim().split('\n').at(-1);
  }
  return undefined;
}

async function debianImages(names, say) {
  if (!(await exists(debianImage))) {
    say('Making a Debian of its packages (a minute or two, once) …');
    await debootstrap();
  }
  const dir = mkdtempSync(join(tmpdir(), 'hivemind-images-'));
  try {
    copyFileSync(join(root, 'deploy/debian/Dockerfile'), join(dir, 'Dockerfile'));
    copyFileSync(localNode(), join(dir, 'node'));
    for (const name of names) {
      await buildImage({tag: built[name], target: name.replace('_IMAGE', '').toLowerCase(), dir, file: join(dir, 'Dockerfile'), args: {DEBIAN_IMAGE: debianImage}});
    }
  } finally {
    rmSync(dir, {recursive: true});
  }
}

async function debootstrap() {
  await installDebianPackages(['debootstrap'], {yes: true});
  const dir = mkdtempSync(join(tmpdir(), 'hivemind-debian-'));
  try {
    await must(runQuietly('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', dir, mirror], {deadlineMs}), 'debootstrap failed');
    const without = ['./var/cache/apt/*', './var/lib/apt/lists/*', './usr/share/doc/*', './usr/share/man/*', './usr/share/locale/*'];
    await pipe(
      ['tar', '-C', dir, ...without.map((path) => `--exclude=${path}`), '-c', '.'],
      ['docker', 'import', '--change', 'CMD ["bash"]', '-', debianImage],
      'The engine did not take the Debian image',
    );
  } finally {
    rmSync(dir, {recursive: true, force: true});
  }
}

/** Packages come from the machine's network: a bridge may have no way out. */
async function buildImage({tag, target, dir, file, args}) {
  const words = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  await must(runQuietly('docker', ['build', '--network', 'host', '-f', file, '--target', target, '-t', tag, ...words, '.'], {cwd: dir, deadlineMs}), `The image ${tag} was not built`);
}

async function exists(image) {
  return (await runQuietly('docker', ['image', 'inspect', image])).status === 0;
}

async function must(running, what) {
  const {status, output} = await running;
  if (status !== 0) throw new SetupError(`${what}:\n${output.trim().split('\n').slice(-30).join('\n')}`);
}
