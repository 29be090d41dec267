/**
 * One member as a process of its own, to be killed: `node member-process.ts '{"name": …, "bind": …, "join": […], "key": base64}'`.
 * Tells its address as a line of JSON once it listens, then every event; ends when its standard input does.
 */
import {createInterface} from 'node:readline';
import pino from 'pino';
import {z} from 'zod';
import {startMember} from '../src/node/index.ts';

const Address = z.object({host: z.string(), port: z.number()});
const Options = z.object({name: z.string(), bind: Address, join: z.array(Address).optional(), key: z.string().optional(), suspicionMultiplier: z.number().optional()});

const {key, suspicionMultiplier, ...options} = Options.parse(JSON.parse(process.argv[2] ?? '{}'));
const member = await startMember({
  ...options,
  ...(key === undefined ? {} : {keys: [Buffer.from(key, 'base64')]}),
  ...(suspicionMultiplier === undefined ? {} : {config: {suspicionMultiplier}}),
  logger: pino({level: 'silent'}),
});
const tell = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
member.onEvent(({type, member: {name}}) => tell({type, name}));
tell({address: member.address});
createInterface({input: process.stdin}).on('close', () => process.exit());
