/**
 * Bundles one app into one JavaScript file: `node scripts/build.mjs apps/cli` (the nx target `build`).
 * Node does not strip types under node_modules, so this is what is packed, installed and run elsewhere.
 */
import {existsSync} from 'node:fs';
import {copyFile, mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {enter, root, SetupError} from './setup/enter.mjs';

await enter(async () => {
  const project = process.argv[2]?.replace(/\/$/, '') ?? '';
  const {default: bundle, bundlePrograms} = await import('./build/bundle.mjs');
  const entry = ['main.ts', 'index.ts'].map((file) => join(root, project, 'src', file)).find(existsSync);
  if (!entry) throw new SetupError(`${project || 'An app'} has no src/main.ts or src/index.ts. Name an app: node scripts/build.mjs apps/cli`);
  const out = join(root, 'dist', project);
  await rm(out, {recursive: true, force: true});
  await mkdir(out, {recursive: true});
  const name = basename(project) === 'cli' ? 'hivemind' : basename(project);
  const bytes = await bundle({entry, outfile: join(out, `${name}.js`)}).catch((error) => {
    // esbuild has shown them, with the lines.
    throw error.errors ? new SetupError(`${project} was not bundled: ${error.errors.length} errors.`) : error;
  });
  if (name === 'hivemind') {
    // What stays in memory on every machine are smaller programs than the command; the sidecar outlives its agent.
    await bundlePrograms({programs: {agent: join(root, 'apps/cli/src/agent-main.ts'), sidecar: join(root, 'apps/sidecar/src/main.ts')}, outdir: out});
  }
  await (name === 'hivemind' ? writePackage(out) : writeFile(join(out, 'package.json'), '{"type": "module"}\n'));
  process.stdout.write(`dist/${project}/${name}.js ${(bytes / 1024).toFixed(0)} KiB\n`);
  return 0;
});

/** Makes the bundled command a package: `npm pack`, `npm install`, `hivemind`. */
async function writePackage(out) {
  const {version} = JSON.parse(await readFile(join(root, 'apps/cli/package.json'), 'utf8'));
  const {license, description} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const manifest = {
    name: 'hivemind',
    version,
    description,
    license,
    type: 'module',
    bin: {hivemind: 'bin/hivemind.mjs'},
    engines: {node: '>=24'},
    files: ['bin', 'parts', ...['hivemind', 'agent', 'sidecar'].flatMap((program) => [`${program}.js`, `${program}.js.LEGAL.txt`])],
  };
  await writeFile(join(out, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await mkdir(join(out, 'bin'));
  await copyFile(join(root, 'scripts/build/launcher.mjs'), join(out, 'bin/hivemind.mjs'));
  for (const file of ['README.md', 'LICENSE']) {
    if (existsSync(join(root, file))) await copyFile(join(root, file), join(out, file));
  }
}
