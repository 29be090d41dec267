/**
 * Members in a process of their own, to be killed and measured: `node member-process.ts '{"name": …, "bind": …, "join": […]}'`; with a
 * `count`, so many, named `name-0` and on. Tells the first one's address as a line of JSON once all listen, then every event; answers
 * `traffic` on standard input, and ends with it.
 */
import {createInterface} from 'node:readline';
import pino from 'pino';
import * as z from 'zod';
import {type Address as MemberAddress, type Member, startMember} from '../src/node/index.ts';

const Address = z.object({host: z.string(), port: z.number()});
const Options = z.object({
  name: z.string(),
  bind: Address,
  join: z.array(Address).default([]),
  key: z.string().optional(),
  count: z.number().default(1),
  suspicionMultiplier: z.number().optional(),
});

const {name, bind, join, key, count, suspicionMultiplier} = Options.parse(JSON.parse(process.argv[2] ?? '{}'));
const tell = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function start(own: string, others: readonly MemberAddress[]): Promise<Member> {
  const member = await startMember({
    name: own,
    bind,
    join: others,
    ...(key === undefined ? {} : {keys: [Buffer.from(key, 'base64')]}),
    ...(suspicionMultiplier === undefined ? {} : {config: {suspicionMultiplier}}),
    logger: pino({level: 'silent'}),
  });
  member.onEvent(({type, member: {name: of}}) => tell({type, name: of, by: own, at: Date.now()}));
  return member;
}

const first = await start(count === 1 ? name : `${name}-0`, join);
const members = [first];
while (members.length < count) members.push(await start(`${name}-${members.length}`, [first.address]));
tell({address: first.address});

createInterface({input: process.stdin})
  .on('line', () => {
    const {rss} = process.memoryUsage();
    tell({bytesOut: members.reduce((sum, member) => sum + member.statistics().bytesOut, 0), alive: Math.min(...members.map((one) => one.statistics().members.alive)), rss});
  })
  .on('close', () => process.exit());
