/** Virtual IPs and published ports on this machine: services as they change, to the kernel, and what the kernel needs beside. */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {Balancer, type ServicesChange} from '../core/balance/balancer.ts';
import {type BalanceMachine, TABLE} from '../core/balance/compile.ts';
import {parseListing} from '../core/nft/listing.ts';
import {run} from './command.ts';
import {reflect, set, showBridge} from './kernel-settings.ts';
import {createNft, type Nft} from './nft/command.ts';
import {KeptTable} from './nft/kept-table.ts';

export interface BalanceOptions {
  readonly machine: BalanceMachine;
  /** `problem` may be another one. */
  readonly onWorked?: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Balancing {
  /** In order. Resolves when the kernel does it; an established connection goes on as it was. */
  apply(change: ServicesChange): Promise<void>;
  /** Devices of the machine were made anew: what rules need of them is seen to again. Never rejects. */
  devicesMade(): Promise<void>;
  /** Why it is not as it should be; undefined where all is well. */
  readonly problem: string | undefined;
  /** How often rules had to be put right that another hand had changed. */
  readonly mended: number;
  /** Leaves all as it is. */
  stop(): Promise<void>;
}

export function startBalance({machine, clock, logger, onWorked}: BalanceOptions): Balancing {
  const balancer = new Balancer(machine);
  let isBridgeShown = true;
  const reflected = new Set<string>();
  const prepare = async (): Promise<void> => void (isBridgeShown = await settings(machine, reflected));
  const prepareAll = (): Promise<void> => {
    reflected.clear();
    return prepare();
  };
  const table = new KeptTable({table: TABLE, nft: createNft(), wanted: () => balancer.ruleset(), clock, logger, beside: prepareAll, ...(onWorked ? {onWorked} : {})});
  return {
    async apply(change) {
      const todo = balancer.apply(change);
      const applied = table.change(todo);
      // Its place at the bridge is as new as the container itself.
      if (todo.elements.has('self')) await prepare().catch(() => table.look());
      await applied;
    },
    devicesMade: () => prepareAll().catch(() => table.look()),
    get problem() {
      return table.problem ?? (isBridgeShown ? undefined : 'answers between two containers of this machine are not translated back: its kernel has no br_netfilter');
    },
    get mended() {
      return table.mended;
    },
    stop: () => table.stop(),
  };
}

/** Ports of this machine that lead to containers, as in `tcp/80`. @throws `machine-unable` 503 */
export async function portsLed(nft: Nft = createNft()): Promise<readonly string[]> {
  const listing = await nft.list(TABLE, 'hosts');
  nft.close();
  return listing === undefined ? [] : [...(parseListing(listing).elements.get('hosts')?.keys() ?? [])].map((key) => key.replace(' . ', '/'));
}

/** Whether this machine's kernel leads by rules that were left to it. */
export async function isBalanced(): Promise<boolean> {
  return (await run('nft', ['list', 'chain', 'ip', TABLE, 'translate'])).status === 0;
}

/** Takes all virtual IPs away from this machine. @returns whether there were any. @throws `machine-unable` 503 */
export async function removeBalance(nft: Nft = createNft()): Promise<boolean> {
  if ((await nft.list(TABLE)) === undefined) return false;
  await nft.apply(`delete table ip ${TABLE}\n`);
  nft.close();
  return true;
}

/**
 * Answers between two containers of a machine are translated back where the bridge shows them to the firewall. A container that is
 * led to itself is answered over the place it asked from. And an answer to 127.0.0.1 is taken from a device only if that routes such
 * addresses.
 * @returns whether the bridge shows them
 */
async function settings({bridge, overlays}: Pick<BalanceMachine, 'bridge' | 'overlays'>, reflected: Set<string>): Promise<boolean> {
  const [isShown] = await Promise.all([
    showBridge(bridge),
    reflect(bridge, reflected),
    ...[bridge, ...overlays].map((device) => set(`/proc/sys/net/ipv4/conf/${device}/route_localnet`)),
  ]);
  if (isShown) return true;
  await run('modprobe', ['br_netfilter']);
  return showBridge(bridge);
}
