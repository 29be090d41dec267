/**
 * The node half that balances, on a machine of the tests: a change a line on standard input, `"applied"` a line on standard
 * output. Run by hand: node packages/network/test/integration/balance-program.ts
 */
import {createInterface} from 'node:readline';
import {systemClock} from '@hivemind/controller';
import {pino} from 'pino';
import {startBalance} from '../../src/node/balance.ts';

const balancing = startBalance({
  machine: {node: 'm1', containers: '10.244.0.0/16', virtualIps: ['10.96.0.0/16'], bridge: 'hm0', overlays: ['hm-vx']},
  clock: systemClock,
  logger: pino({level: process.env.LOG ?? 'silent'}, pino.destination(2)),
});
createInterface({input: process.stdin})
  .on('line', (line) => void balancing.apply(JSON.parse(line)).then(() => process.stdout.write('"applied"\n')))
  .on('close', () => void balancing.stop());
