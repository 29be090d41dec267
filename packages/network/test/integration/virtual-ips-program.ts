/**
 * Virtual IPs as an agent keeps them, on a machine of the tests: what discovery tells, a line on standard input, and on standard
 * output a line each time that it is otherwise whether they are delivered, and one when what was told before is done with.
 * Run by hand: node packages/network/test/integration/virtual-ips-program.ts
 */
import {createInterface} from 'node:readline';
import {systemClock} from '@hivemind/controller';
import {pino} from 'pino';
import {type ServicesFeed, VirtualIps} from '../../src/node/virtual-ips.ts';

type Listener = Parameters<ServicesFeed['onEndpointsChanged']>[0];

const say = (word: unknown): void => void process.stdout.write(`${JSON.stringify(word)}\n`);
let tell: Listener = () => undefined;
const virtualIps = new VirtualIps({
  services: {onEndpointsChanged: (listener) => {
    tell = listener;
    return () => undefined;
  }},
  node: 'm1', bridge: 'hm0', overlays: ['hm-vx'],
  engine: async () => [], onTaken: () => undefined, onDelivered: (delivered) => say({delivered}),
  clock: systemClock,
  logger: pino({level: process.env.LOG ?? 'silent'}, pino.destination(2)),
});
await virtualIps.among('10.244.0.0/16', '10.96.0.0/16');
say('begun');
createInterface({input: process.stdin})
  .on('line', (line) => void Promise.resolve(tell(JSON.parse(line))).then(() => say('applied')))
  .on('close', () => void virtualIps.stop());
