import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';

describe('what the agent loads', () => {
  it('is no HTTP framework and no store: node halves speak the bus only', () => {
    const entry = fileURLToPath(new URL('./index.ts', import.meta.url));
    // Every file that is loaded is resolved first, by import or by require.
    const script = `
      import {registerHooks} from 'node:module';
      const urls = [];
      registerHooks({resolve(name, context, next) { const found = next(name, context); urls.push(found.url); return found; }});
      await import(${JSON.stringify(entry)});
      console.log(urls.filter((url) => /node_modules\\/(fastify|@fastify|ioredis)\\/|node:sqlite/.test(url)).join(' '), urls.length);
    `;
    const {stdout, stderr, status} = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}});
    expect({status, stderr: status === 0 ? '' : stderr}).toEqual({status: 0, stderr: ''});
    const [count, ...forbidden] = stdout.trim().split(' ').toReversed();
    expect(Number(count)).toBeGreaterThan(20);
    expect(forbidden).toEqual([]);
  });
});
