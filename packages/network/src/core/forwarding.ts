/**
 * What lets containers' packets through where an engine, or a person, drops whatever is forwarded: a chain of our own in the
 * filter table, in the words of `iptables-save`. Pure.
 *
 * Where there is an engine the chain hangs from DOCKER-USER, which it passes before its own rules and leaves to others. It
 * says yes only to what goes from a container of the cluster to another, or to one by a port that this machine leads there, and
 * back: all else stays the engine's to decide.
 */
import {BRIDGE} from './kernel.ts';

export const CHAIN = 'HIVEMIND-FORWARD';
const HOOKS = ['DOCKER-USER', 'FORWARD'] as const;
const jump = (chain: string): string => `-A ${chain} -j ${CHAIN}`;

/** Lines for `iptables-restore --noflush`, one transaction; empty where all is as it should be. @param saved what `iptables-save -t filter` printed */
export function mendForwardingRules(saved: string, cidr: string): readonly string[] {
  const lines = saved.split('\n');
  const hasChain = (name: string): boolean => lines.some((line) => line.startsWith(`:${name} `));
  const hook = hasChain('DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD';
  const wanted = rulesOf(cidr, hook);
  const has = lines.filter((line) => line.startsWith(`-A ${CHAIN} `));
  const isChainRight = hasChain(CHAIN) && has.length === wanted.length && has.every((line, index) => line === wanted[index]);
  const elsewhere = HOOKS.filter((name) => name !== hook).flatMap((name) => lines.filter((line) => line === jump(name)).map(() => `-D ${name} -j ${CHAIN}`));
  const isHooked = lines.includes(jump(hook));
  if (isChainRight && isHooked && elsewhere.length === 0) return [];
  // Before what ends the chain for everybody, after what a person put there.
  const rules = lines.filter((line) => line.startsWith(`-A ${hook} `));
  const end = hook === 'FORWARD' ? 0 : rules.findIndex((line) => line === `-A ${hook} -j RETURN`);
  const place = end === -1 ? rules.length + 1 : end + 1;
  return ['*filter', `:${CHAIN} - [0:0]`, ...wanted, ...elsewhere, ...(isHooked ? [] : [`-I ${hook} ${place} -j ${CHAIN}`]), 'COMMIT'];
}

/** Lines that remove all of it; empty where there is nothing. */
export function removeForwardingRules(saved: string): readonly string[] {
  const lines = saved.split('\n');
  const jumps = HOOKS.flatMap((name) => lines.filter((line) => line === jump(name)).map(() => `-D ${name} -j ${CHAIN}`));
  const there = lines.some((line) => line.startsWith(`:${CHAIN} `));
  return there || jumps.length > 0 ? ['*filter', `:${CHAIN} - [0:0]`, ...jumps, `-X ${CHAIN}`, 'COMMIT'] : [];
}

function rulesOf(cidr: string, hook: (typeof HOOKS)[number]): readonly string[] {
  const within = [`-A ${CHAIN} -s ${cidr} -d ${cidr} -j ACCEPT`, ...['-d', '-s'].map((end) => `-A ${CHAIN} ${end} ${cidr} -m conntrack --ctstate DNAT -j ACCEPT`)];
  // Without an engine nobody lets containers out, and answers in.
  return hook === 'DOCKER-USER' ? within : [...within, `-A ${CHAIN} -i ${BRIDGE} -j ACCEPT`, `-A ${CHAIN} -o ${BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`];
}

/** nftables: what leaves the cluster has the machine's address. In one transaction; established connections go on. */
export const NFT_TABLE = 'hivemind_net';
export function masquerade(subnet: string, cidr: string): string {
  return [
    `table ip ${NFT_TABLE}`,
    `delete table ip ${NFT_TABLE}`,
    `table ip ${NFT_TABLE} {`,
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    `    ip saddr ${subnet} ip daddr != { ${cidr}, 224.0.0.0/4 } oifname != "${BRIDGE}" masquerade fully-random`,
    '  }',
    '}',
    '',
  ].join('\n');
}
