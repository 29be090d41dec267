import {spawnSync} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {resolve} from 'node:path';

/** /dev/full is a disk without room. */
it('a log that cannot be written ends nothing', () => {
  const full = openSync('/dev/full', 'w');
  const code = `
    const {openLog} = await import(${JSON.stringify(resolve(import.meta.dirname, 'foreground.ts'))});
    const {logger, flush} = await openLog();
    logger.info('nobody reads this');
    process.stdout.write('nor this');
    setImmediate(() => { flush(); process.exitCode = 42; });`;
  try {
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', code], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', full, full], timeout: 20_000}).status).toBe(42);
  } finally {
    closeSync(full);
  }
}, 30_000);
