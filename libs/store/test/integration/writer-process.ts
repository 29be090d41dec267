/**
 * A process to be killed: writes to the store at argv[2] from many loops, each raising its own key, and says on standard
 * output what was acknowledged, as lines "key number".
 */
import {openSqliteStore} from '../../src/index.ts';

const LOOPS = 32;

const store = await openSqliteStore({path: process.argv[2] ?? ''});
process.stdout.write('open\n');
await Promise.all(
  Array.from({length: LOOPS}, async (_, loop) => {
    const key = `loop-${loop}`;
    for (let number = Number((await store.get('numbers', key))?.value ?? 0) + 1; ; number += 1) {
      const result = await store.transact({
        writes: [
          {op: 'put', collection: 'numbers', key, value: `${number}`},
          {op: 'put', collection: 'twins', key, value: `${number}`},
        ],
      });
      if (result.ok) process.stdout.write(`${key} ${number}\n`);
    }
  }),
);
