/**
 * Whether this machine can have the cluster's network, and whose it is. Two clusters on one machine would undo each other's work: the
 * bridge carries the name of the one that came first, until that takes it down.
 */
import {access, readFile, stat} from 'node:fs/promises';
import {connect, createServer, type Server} from 'node:net';
import {delimiter, join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {DiscoverySettings, NetworkSpec} from '@hivemind/contracts';
import * as z from 'zod';
import {BRIDGE} from '../core/kernel.ts';
import {aliasOf, clusterOf} from '../core/mend.ts';
import {takenRange} from '../core/taken-ranges.ts';
import {run, searchPath} from './command.ts';

/** A name of this network namespace alone: who has it decides, the others wait. */
const TURN = '\0hivemind-network';
const TURN_TRIES = 100;
const TURN_MS = 20;
const LISTENS = '00010000';
const Links = z.array(z.object({ifname: z.string().optional(), ifalias: z.string().optional()}));

export interface Claimant {
  readonly cluster: string;
  /** Where the engine of this machine's containers is reached, as in `/run/docker.sock`, `unix://…` or `containerd://…`; absent: here. */
  readonly engine?: string | undefined;
  /** Of containers, and of virtual IPs, as in `10.244.0.0/16`; default those that a cluster begins with. */
  readonly ranges?: readonly string[] | undefined;
}

const FIRST_RANGES = [NetworkSpec.parse({}).cidr, DiscoverySettings.parse({}).virtualIps];

/** Why this machine can have no network of the cluster; undefined where it can. Changes nothing. */
export async function unableBecause({cluster, engine, ranges = FIRST_RANGES}: Claimant): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this machine runs ${process.platform}: a network of the cluster's own takes Linux`;
  if (process.getuid?.() !== 0) return 'Hivemind does not run as root here';
  const missing = await missingCommands();
  if (missing.length > 0) return `the commands ${missing.join(' and ')} are missing on this machine (Debian: iproute2, nftables)`;
  if (engine !== undefined && !(await isBeside(engine))) return `the container engine at ${engine} has interfaces of its own, not this machine's`;
  const nft = await run('nft', ['list', 'tables']);
  if (nft.status !== 0) return `this machine's kernel refuses rules (nft: ${nft.stderr.trim()})`;
  const owner = await networkOwner();
  // What it has already, it goes on with: a route that came later is a person's own.
  return owner === cluster ? undefined : owner === undefined ? leadsElsewhere(ranges) : isOthers(owner);
}

/** Makes the bridge the cluster's where it is nobody's. @returns why that cannot be; undefined where it is the cluster's now */
export async function claim(claimant: Claimant): Promise<string | undefined> {
  const because = await unableBecause(claimant);
  if (because !== undefined) return because;
  const turn = await takeTurn();
  try {
    const alias = await aliasOfBridge();
    if (alias === aliasOf(claimant.cluster)) return undefined;
    if (typeof alias === 'string') return isOthers(clusterOf(alias));
    // A bridge without a name on it is one that somebody made of it by hand.
    const {status, stderr} = await run('ip', ['-batch', '-'], [...(alias === undefined ? [`link add ${BRIDGE} type bridge`] : []), `link set ${BRIDGE} alias ${aliasOf(claimant.cluster)}`, ''].join('\n'));
    return status === 0 ? undefined : `this machine's kernel refuses a bridge (ip: ${stderr.trim()})`;
  } finally {
    turn?.close();
  }
}

/** The cluster whose network this machine has, where it has one. */
export async function networkOwner(): Promise<string | undefined> {
  const alias = process.platform === 'linux' ? await aliasOfBridge() : undefined;
  return typeof alias === 'string' ? clusterOf(alias) : undefined;
}

const isOthers = (owner: string): string => `the bridge ${BRIDGE} of this machine, and its rules, are of another cluster (${owner}), until that is down here (hivemind network down)`;

/** As where another orchestrator, or a private network, has these addresses: packets to them would go astray. */
async function leadsElsewhere(ranges: readonly string[]): Promise<string | undefined> {
  const taken = takenRange((await run('ip', ['-4', '-json', 'route', 'show'])).stdout, ranges);
  return taken && `this machine has a route to ${taken.route} by ${taken.device}, within the cluster's range ${taken.range}: remove it, or give the cluster another range (hivemind network set --cidr for containers, PATCH /discovery/settings for virtual IPs)`;
}

/** null: a bridge without one. undefined: no bridge. */
async function aliasOfBridge(): Promise<string | null | undefined> {
  const {status, stdout} = await run('ip', ['-json', 'link', 'show', 'dev', BRIDGE]);
  if (status !== 0) return undefined;
  const found = Links.parse(JSON.parse(stdout)).find(({ifname}) => ifname === BRIDGE);
  return found && (found.ifalias ?? null);
}

async function missingCommands(): Promise<readonly string[]> {
  const dirs = searchPath().split(delimiter);
  const there = (name: string): Promise<boolean> => Promise.any(dirs.map((dir) => access(join(dir, name)))).then(() => true, () => false);
  const wanted = ['ip', 'bridge', 'nft'];
  const found = await Promise.all(wanted.map(there));
  return wanted.filter((_, index) => found[index] !== true);
}

/**
 * Whether the engine's interfaces are those of this process: its socket was made where they are. One that the kernel does not list
 * here is that of another machine, of a virtual one, or of an engine without root.
 */
async function isBeside(engine: string): Promise<boolean> {
  // That driver makes a container's interfaces itself.
  if (engine.startsWith('containerd://')) return true;
  const path = engine.replace(/^unix:\/\//, '');
  if (!path.startsWith('/') || path.includes('/.docker/desktop/')) return false;
  // By what it is, not by its name: /run may be mounted elsewhere, too.
  const same = (each: string): Promise<string | undefined> => stat(each).then(({dev, ino}) => `${dev} ${ino}`, () => undefined);
  const wanted = await same(path);
  const lines = (await readFile('/proc/net/unix', 'utf8').catch(() => '')).split('\n').map((line) => line.trim().split(/\s+/));
  const listening = lines.flatMap(([, , , flags, , , , bound]) => (flags === LISTENS && bound?.startsWith('/') === true ? [bound] : []));
  if (listening.includes(path)) return true;
  if (wanted !== undefined) for (const each of listening) if (each.endsWith('.sock') && (await same(each)) === wanted) return true;
  // It may not have started yet: what it is then is not known, and as a rule it is this machine's.
  return !(await answers(path));
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({path}, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Who holds it for longer than a moment hangs, and is not waited for. */
async function takeTurn(): Promise<Server | undefined> {
  for (let attempt = 0; attempt < TURN_TRIES; attempt++) {
    const server = createServer();
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(TURN, () => resolve(true));
    });
    if (taken) return server;
    await pause(TURN_MS);
  }
  return undefined;
}
