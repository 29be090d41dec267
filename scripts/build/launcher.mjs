#!/usr/bin/env node
// The installed command. It compiles once: the next start reads V8's code from disk.
import {enableCompileCache} from 'node:module';

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`hivemind needs Node 24 or newer; this is ${process.version}.\n`);
  process.exit(1);
}
enableCompileCache();
// Those of bundled packages are for their authors; Node only mutes them under node_modules.
process.noDeprecation = true;
await import('../hivemind.js');
