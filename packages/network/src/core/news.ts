/** What the kernel tells of its interfaces, addresses and routes, a line each, as `ip -oneline monitor` prints it. Pure. */
import {BRIDGE} from './kernel.ts';

/** Of containers, and of IPv6: as many as there are starts, and nothing of them is looked after. */
const OF_CONTAINERS = /^(?:Deleted )?(?:\d+: (?:veth|hmv)|(?:.* )?dev (?:veth|hmv))/;
const OF_IPV6 = /^(?:Deleted )?(?:\d+: \S+ +inet6 |(?:[a-z]+ )?[0-9a-f]*:[0-9a-f:]*(?:\/\d+)? (?:dev|via) )/;

export interface News {
  /** The machine's network may be otherwise than it should be. */
  readonly isOfConcern: boolean;
  /** An interface that is on the bridge. */
  readonly member: string | undefined;
}

export function read(line: string): News {
  const [, member] = new RegExp(`^\\d+: ([^@:\\s]+)[@:].* master ${BRIDGE} `).exec(line) ?? [];
  return {isOfConcern: !OF_CONTAINERS.test(line) && !OF_IPV6.test(line), member};
}
