/**
 * A machine out of network namespaces: one with the bridge, and one for each container on it. What a killed test left is removed
 * by the next, since the names say whose they are.
 */
import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Order} from './peer.ts';

const PREFIX = 'hvpeers';
let made = 0;

export interface Peer {
  readonly name: string;
  readonly address: string;
  /** What who was reached says: its name and whom it saw. @throws with what the kernel said, as ECONNREFUSED */
  dial(host: string, port: number, times?: number): Promise<readonly string[]>;
  /** By UDP. @param from own port */
  ask(host: string, port: number, from?: number): Promise<string>;
  /** Whether an ICMP echo is answered. */
  pings(host: string): boolean;
  hold(host: string, port: number): Promise<string>;
  say(text: string): Promise<string>;
}

export interface PeerMachine extends AsyncDisposable {
  /** On the machine itself. */
  readonly self: Peer;
  readonly peers: readonly Peer[];
  /** Runs on the machine to its end. */
  exec(program: string, ...args: readonly string[]): string;
  /** Runs beside, until the machine is disposed of. Lines go in and out. */
  start(program: string, ...args: readonly string[]): ChildProcess;
}

/** Containers at 10.244.0.2 and on, the bridge `hm0` is 10.244.0.1, and virtual IPs have the machine's route; there is no default one. */
export async function peerMachine(count: number): Promise<PeerMachine> {
  removeStale();
  const host = `${PREFIX}${process.pid}-${made++}`;
  const spaces = [host, ...Array.from({length: count}, (_, index) => `${host}-c${index + 1}`)];
  const children: ChildProcess[] = [];
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, {encoding: 'utf8'});
  const within = (space: string, ...args: readonly string[]): string => ip('netns', 'exec', space, ...args);
  const start = (space: string, program: string, ...args: readonly string[]): ChildProcess => {
    const child = spawn('ip', ['netns', 'exec', space, program, ...args], {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, NODE_OPTIONS: ''}});
    children.push(child);
    return child;
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(children.filter(({exitCode, signalCode}) => exitCode === null && signalCode === null).map((child) => new Promise((resolve) => {
      child.once('close', resolve);
      child.kill('SIGKILL');
    })));
    for (const space of spaces) ip('netns', 'delete', space);
  };
  for (const space of spaces) ip('netns', 'add', space);
  try {
    ip('-n', host, 'link', 'add', 'hm0', 'type', 'bridge');
    ip('-n', host, 'address', 'add', '10.244.0.1/24', 'dev', 'hm0');
    for (const link of ['hm0', 'lo']) ip('-n', host, 'link', 'set', link, 'up');
    ip('-n', host, 'link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1');
    ip('-n', host, 'address', 'add', '192.0.2.1/24', 'dev', 'out0');
    for (const link of ['out0', 'out1']) ip('-n', host, 'link', 'set', link, 'up');
    ip('-n', host, 'route', 'add', '10.96.0.0/16', 'dev', 'lo', 'src', '10.244.0.1');
    within(host, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    spaces.slice(1).forEach((space, index) => {
      ip('-n', host, 'link', 'add', `c${index + 1}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
      ip('-n', host, 'link', 'set', `c${index + 1}`, 'master', 'hm0', 'up');
      ip('-n', space, 'address', 'add', `10.244.0.${index + 2}/24`, 'dev', 'eth0');
      for (const link of ['eth0', 'lo']) ip('-n', space, 'link', 'set', link, 'up');
      ip('-n', space, 'route', 'add', 'default', 'via', '10.244.0.1');
    });
    const peers = await Promise.all(spaces.map((space, index) => startPeer(start(space, process.execPath, join(import.meta.dirname, 'peer.ts'), index === 0 ? 'host' : `c${index}`), index === 0 ? 'host' : `c${index}`, `10.244.0.${index + 1}`, space)));
    const [self, ...containers] = peers;
    return {self: self!, peers: containers, exec: (program, ...args) => within(host, program, ...args), start: (program, ...args) => start(host, program, ...args), [Symbol.asyncDispose]: dispose};
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function startPeer(child: ChildProcess, name: string, address: string, space: string): Promise<Peer> {
  const open = new Map<number, PromiseWithResolvers<readonly string[]>>();
  const ready = Promise.withResolvers<void>();
  let orders = 0;
  createInterface({input: child.stdout!}).on('line', (line) => {
    const answer: 'ready' | {readonly id: number; readonly said?: readonly string[]; readonly error?: string} = JSON.parse(line);
    if (answer === 'ready') return ready.resolve();
    const {id, said, error} = answer;
    if (said) open.get(id)?.resolve(said);
    else open.get(id)?.reject(new Error(error));
    open.delete(id);
  });
  child.once('close', () => ready.reject(new Error(`${name} ended`)));
  const order = (what: Omit<Order, 'id'>): Promise<readonly string[]> => {
    const answer = Promise.withResolvers<readonly string[]>();
    open.set(orders, answer);
    child.stdin!.write(`${JSON.stringify({id: orders++, ...what})}\n`);
    return answer.promise;
  };
  await ready.promise;
  const one = async (what: Omit<Order, 'id'>): Promise<string> => (await order(what))[0] ?? '';
  return {
    name, address,
    dial: (host, port, times = 1) => order({dial: {host, port, times}}),
    ask: (host, port, from) => one({ask: {host, port, ...(from === undefined ? {} : {from})}}),
    pings: (host) => spawnSync('ip', ['netns', 'exec', space, 'busybox', 'ping', '-c', '1', '-W', '2', host]).status === 0,
    hold: (host, port) => one({hold: {host, port}}),
    say: (text) => one({say: text}),
  };
}

/** Programs in them end with their standard input, which was the test's. */
function removeStale(): void {
  for (const line of execFileSync('ip', ['netns', 'list'], {encoding: 'utf8'}).split('\n')) {
    const [, space, pid] = /^(hvpeers(\d+)-\S+)/.exec(line) ?? [];
    if (space !== undefined && !existsSync(`/proc/${pid}`)) execFileSync('ip', ['netns', 'delete', space]);
  }
}
