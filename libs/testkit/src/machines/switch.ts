/**
 * What the machines are plugged into: a bridge in a network namespace of its own, with one port a
 * machine and one to this computer. Apart from the computer's own namespace nothing of its firewall
 * applies (an engine there drops what is forwarded), and a machine can do nothing to a cable that is
 * cut here: to both ends it looks as if packets were lost on the way.
 */
import {type Network} from './claims.ts';
import {command, dropLink, ip} from './kernel.ts';

/** A socket's address; every port when none is named. */
export interface Endpoint {
  address: string;
  port?: number;
}

/** What one fault does to a machine's traffic. */
export interface Fault {
  /** Other machines' ports, or addresses; everything when absent. */
  peers?: (string | Endpoint)[];
  /** Seen from the machine. */
  direction: 'in' | 'out' | 'both';
  /** Share of the packets that are lost, in thousandths. */
  lost: number;
}

/** The bridge of one network, and what is wrong with its cables. */
export class Switch {
  readonly #network: Network;
  /** By port. */
  readonly #faults = new Map<string, Fault[]>();
  #closed = false;

  constructor(network: Network) {
    this.#network = network;
    const {name} = network;
    ip([`netns add ${name}`, `link add ${name} type veth peer name uplink netns ${name}`]);
    // Looking into multicast would cost a querier; nothing here needs it.
    ip(['link add lan type bridge mcast_snooping 0', 'link set lan up', 'link set uplink master lan up'], name);
    ip([`addr add ${this.address}/24 dev ${name}`, `link set ${name} up`]);
  }

  /** This computer's address there, at which machines reach the servers that a test starts. */
  get address(): string {
    return `${this.#network.prefix}.1`;
  }

  addressOf(number: number): string {
    return `${this.#network.prefix}.${number}`;
  }

  /** Nothing is plugged in any more: what is booted after the network went would be left behind. */
  close(): void {
    this.#closed = true;
  }

  /** Plugs a fresh network namespace in: `eth0` there, `port` here. Its hardware address never changes. */
  plugIn(port: string, number: number, namespace: string): void {
    if (this.#closed) throw new Error(`${port} cannot be powered on: the machines were stopped`);
    const address = this.addressOf(number);
    const mac = ['02', '00', ...address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(':');
    ip([`netns add ${namespace}`]);
    ip([`link add ${port} type veth peer name eth0 address ${mac} netns ${namespace}`, `link set ${port} master lan up`], this.#network.name);
    ip(
      [
        ...['link set lo up', `addr add ${address}/24 dev eth0`, 'link set eth0 up'],
        // Without it the look-up of a name waits for an answer from the world outside.
        'route add unreachable default',
      ],
      namespace,
    );
  }

  /** The port is gone at once, whatever still holds the namespace at its other end. */
  unplug(port: string): void {
    dropLink(port, this.#network.name);
  }

  addFault(port: string, fault: Fault): void {
    this.#faults.set(port, [...(this.#faults.get(port) ?? []), fault]);
    this.#apply();
  }

  clearFaults(port: string): void {
    if (this.#faults.delete(port)) this.#apply();
  }

  /** Replaces all rules in one step. */
  #apply(): void {
    const rules = [...this.#faults].flatMap(([port, faults]) => faults.flatMap((fault) => rulesOf(port, fault)));
    const lines = ['type filter hook forward priority 0', ...rules].map((line) => `    ${line};\n`).join('');
    const script = `table bridge faults\ndelete table bridge faults\ntable bridge faults {\n  chain wires {\n${lines}  }\n}\n`;
    command('ip', ['netns', 'exec', this.#network.name, 'nft', '-f', '-'], script);
  }

  /**
   * Limits what goes to a machine and what it sends, each to this rate, by a token bucket that holds up
   * to 300 ms of traffic and loses the rest; undefined takes the limit away.
   */
  limitRate(port: string, namespace: string, kbitPerSecond: number | undefined): void {
    const discipline =
      kbitPerSecond === undefined
        ? ['noqueue']
        : ['tbf', 'rate', `${kbitPerSecond}kbit`, 'burst', `${Math.max(4000, Math.round(kbitPerSecond * 1.25))}`, 'latency', '300ms'];
    for (const [where, device] of [[this.#network.name, port], [namespace, 'eth0']] as const) {
      command('ip', ['netns', 'exec', where, 'tc', 'qdisc', 'replace', 'dev', device, 'root', ...discipline]);
    }
  }
}

function rulesOf(port: string, {peers, direction, lost}: Fault): string[] {
  const some = lost < 1000 ? `numgen random mod 1000 < ${lost} ` : '';
  const ways = direction === 'both' ? (['in', 'out'] as const) : [direction];
  return ways.flatMap((way) => {
    const [mine, theirs] = way === 'in' ? ['oifname', 'iifname'] : ['iifname', 'oifname'];
    const matches = peers === undefined ? [''] : peers.map((peer) => (typeof peer === 'string' ? `${theirs} "${peer}" ` : matchOf(peer, way)));
    return matches.map((match) => `${mine} "${port}" ${match}${some}drop`);
  });
}

function matchOf({address, port}: Endpoint, way: 'in' | 'out'): string {
  const [ofAddress, ofPort] = way === 'in' ? ['saddr', 'sport'] : ['daddr', 'dport'];
  return `ip ${ofAddress} ${address} ${port === undefined ? '' : `meta l4proto { tcp, udp } th ${ofPort} ${port} `}`;
}
