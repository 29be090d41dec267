/**
 * Hivemind's members and memberlist's in one ring, each told of the other's life and death. Run apart from `npm test`, as it installs
 * Debian's Go: `node packages/membership/test/interop/run.ts`.
 */
import {randomBytes} from 'node:crypto';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import pino from 'pino';
import {type Address, type Member, type MemberEvent, startMember} from '../../src/node/index.ts';
import {Keyring} from '../../src/node/keyring.ts';
import {Transport} from '../../src/node/transport.ts';
import {killAll, memberProcess} from '../processes.ts';
import {buildPeer, GoPeer} from './go-peer.ts';

const logger = pino({level: 'silent'});
const loopback: Address = {host: '127.0.0.1', port: 0};

function step(text: string): void {
  process.stdout.write(`  ${text}\n`);
}

/** Waits until a member sees another in a state. */
async function sees(member: Member, name: string, state: string): Promise<void> {
  await waitFor(() => member.members().some((one) => one.name === name && one.state === state), {what: `${member.name} to see ${name} ${state}`, deadlineMs: 30_000});
}

async function ring(program: string, keyBytes: number, compress: boolean): Promise<void> {
  process.stdout.write(`${keyBytes === 0 ? 'no key' : `key of ${keyBytes} bytes`}, compression in Go ${compress ? 'on' : 'off'}\n`);
  const secret = keyBytes === 0 ? undefined : randomBytes(keyBytes);
  const keyed = secret ? {key: secret.toString('base64')} : {};
  const go1 = new GoPeer(program, {name: 'go-1', meta: 'told by go', compress, ...keyed});
  const at = await go1.ready();
  const events: MemberEvent[] = [];
  const ours = await startMember({name: 'ours', bind: loopback, join: [at], metadata: {zone: 'z1'}, ...(secret ? {keys: [secret]} : {}), logger});
  ours.onEvent((event) => events.push(event));
  try {
    await sees(ours, 'go-1', 'alive');
    await go1.saw('join', 'ours', {meta: 'hm1{"z":"z1"}'});
    step('ours joined Go; Go sees our metadata');

    const go2 = new GoPeer(program, {name: 'go-2', compress, join: [ours.address], ...keyed});
    await go2.saw('join', 'ours');
    await sees(ours, 'go-2', 'alive');
    await go2.saw('join', 'go-1');
    await go1.saw('join', 'go-2');
    step('Go joined ours, and the two in Go know each other through it');

    ours.setMetadata({zone: 'z2'});
    await go1.saw('update', 'ours', {meta: 'hm1{"z":"z2"}'});
    step('a change of metadata is seen by Go');

    go1.say('user ours');
    await go1.line('Go to send messages of its application', (line) => line.event === 'sent' && line.packet === true && line.stream === true);
    await tcpPing(at, secret);
    step('messages of an application are tolerated; Go answers a ping over TCP');

    const {child} = await memberProcess({name: 'killed', bind: loopback, join: [at], ...keyed});
    await sees(ours, 'killed', 'alive');
    await go1.saw('join', 'killed');
    await child.kill();
    await Promise.all([go1.saw('leave', 'killed'), sees(ours, 'killed', 'dead')]);
    step('ours killed: Go notices');

    await go2.kill();
    await Promise.all([go1.saw('leave', 'go-2'), sees(ours, 'go-2', 'dead')]);
    step('Go killed: ours notices');

    const leaving = await startMember({name: 'leaving', bind: loopback, join: [ours.address], ...(secret ? {keys: [secret]} : {}), logger});
    await go1.saw('join', 'leaving');
    await leaving.leave();
    await Promise.all([go1.saw('leave', 'leaving'), sees(ours, 'leaving', 'left')]);
    go1.say('leave');
    await sees(ours, 'go-1', 'left');
    step('leaving is seen as such on both sides');

    const wrong = events.filter(({type, member}) => type === 'died' && member.name !== 'killed' && member.name !== 'go-2');
    const {dropped} = ours.statistics();
    if (wrong.length > 0) throw new Error(`members that lived were declared dead: ${wrong.map(({member}) => member.name).join(', ')}`);
    if (Object.keys(dropped).length > 0) throw new Error(`packets of Go were dropped: ${JSON.stringify(dropped)}`);
    step('nobody else was declared dead, and nothing was dropped');
  } finally {
    await ours.close();
    await killAll();
  }
}

async function tcpPing(to: Address, secret: Buffer | undefined): Promise<void> {
  const keyring = secret ? new Keyring([secret]) : undefined;
  const transport = await Transport.open({
    bind: loopback,
    framing: () => (keyring ? {keys: keyring.keys} : {}),
    now: () => performance.now(),
    onPacket: () => undefined,
    onStream: () => undefined,
  });
  try {
    const ack = await transport.exchange(to, {type: 'ping', seq: 7, target: 'go-1'}, 5000);
    if (ack.type !== 'ack' || ack.seq !== 7) throw new Error(`Go answered a ping over TCP with ${JSON.stringify(ack)}`);
  } finally {
    await transport.close();
  }
}

const dir = tempDir('interop');
try {
  const program = buildPeer(dir);
  await ring(program, 0, true);
  await ring(program, 16, true);
  await ring(program, 32, false);
  process.stdout.write('Hivemind and memberlist understand each other\n');
} finally {
  await killAll();
  await removeTempDir(dir);
}
