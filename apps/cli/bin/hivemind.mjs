#!/usr/bin/env node
// `npx hivemind` from a checkout: runs the sources on Node 24, starting that first where npx runs on an older one.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import * as module from 'node:module';
import {fileURLToPath} from 'node:url';

if (Number(process.versions.node.split('.')[0]) >= 24) {
  module.enableCompileCache();
  await import('../src/main.ts');
} else {
  const node = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url));
  if (existsSync(node)) startAgain(node);
  else fail(`hivemind needs Node 24, and this is ${process.version}. Run \`npm ci\` in the checkout: it brings one.`);
}

/** The terminal sends its signals to both; this process waits for the other, and passes on what only it got. */
function startAgain(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {stdio: 'inherit'});
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.once('exit', (code) => (process.exitCode = code ?? 1));
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
