/**
 * The driver's nftables rules: published ports, the way out of networks of the machine's own, and none between those. The whole
 * table is written at once; established connections go on. Pure.
 */
import {everyAddress} from '@hivemind/contracts';
import type {Attachment, PublishedPort} from './attachment.ts';

export interface Connected {
  readonly attachments: readonly Attachment[];
  readonly published: readonly PublishedPort[];
}

/** @param own the driver's networks, whether anybody is on them or not. @param containers those that run and publish ports */
export function ruleset(table: string, own: readonly Pick<Attachment, 'bridge' | 'subnet'>[], containers: readonly Connected[]): string {
  const bridges = [...new Set(containers.flatMap(({attachments: [first]}) => first?.bridge ?? []))];
  const ports = containers.flatMap(({attachments: [first], published}) => (first === undefined ? [] : published.map((port) => portRule(port, first.address))));
  const others = (bridge: string): readonly string[] => own.map((each) => each.bridge).filter((each) => each !== bridge);
  return [
    `table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    '  chain ports {',
    ...ports.map((rule) => `    ${rule}`),
    '  }',
    '  chain prerouting {',
    '    type nat hook prerouting priority dstnat; policy accept;',
    '    fib daddr type local jump ports',
    '  }',
    '  chain output {',
    '    type nat hook output priority -100; policy accept;',
    '    fib daddr type local jump ports',
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    // Else the answer would not come back through here.
    ...bridges.map((bridge) => `    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade`),
    ...own.map(({bridge, subnet}) => `    ip saddr ${subnet} oifname "${bridge}" ct status dnat masquerade`),
    ...own.map(({bridge, subnet}) => `    ip saddr ${subnet} ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade`),
    '  }',
    '  chain loopback {',
    '    type filter hook prerouting priority raw; policy accept;',
    // Bridges route these addresses for the sake of published ports: what asks from within one is not to be led to the machine's own.
    ...bridges.map((bridge) => `    iifname "${bridge}" ip daddr 127.0.0.0/8 drop`),
    '  }',
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    // Through a published port they reach each other, as anybody does.
    ...own.flatMap(({bridge}) => (others(bridge).length === 0 ? [] : [`    iifname "${bridge}" oifname { ${others(bridge).map((each) => `"${each}"`).join(', ')} } ct state new ct status & dnat == 0 drop`])),
    '  }',
    '}',
    '',
  ].join('\n');
}

function portRule({container, protocol, host, address}: PublishedPort, to: string): string {
  const at = everyAddress(address) ? '' : `ip daddr ${address} `;
  return `${at}${protocol} dport ${host} dnat to ${to}:${container}`;
}
