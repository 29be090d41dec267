/** Small packets from machine to machine over the overlay, now and then: who is reached, and how fast. */
import {createSocket, type Socket} from 'node:dgram';
import type {NetworkPeer, PeerReach} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import {contains, gatewayOf, parseAddress, parseCidr} from '../core/cidr.ts';
import {answered, decodeProbe, encodeProbe, intervalOf, type Reach, sent, summary} from '../core/mesh.ts';

/** UDP, at the bridge's address. */
export const PROBE_PORT = 8471;
const REOPEN_MS = 2_000;

export interface Mesh {
  /** From now on: at this address, of this range, to these. */
  watch(subnet: string, cidr: string, peers: readonly NetworkPeer[]): void;
  reach(node: string): Pick<PeerReach, 'sent' | 'loss' | 'roundTrip'>;
  stop(): void;
}

export function startMesh(clock: Clock): Mesh {
  return new ProbingMesh(clock);
}

class ProbingMesh implements Mesh {
  readonly #clock: Clock;
  readonly #reaches = new Map<string, Reach>();
  #byAddress = new Map<string, string>();
  #cidr = '';
  #address = '';
  #socket: Socket | undefined;
  #sequence = 0;
  #next = 0;
  #cancelProbe = (): void => undefined;
  #cancelOpen = (): void => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(subnet: string, cidr: string, peers: readonly NetworkPeer[]): void {
    this.#cidr = cidr;
    this.#byAddress = new Map(peers.map(({node, subnet: theirs}) => [gateway(theirs), node]));
    const names = new Set(peers.map(({node}) => node));
    for (const node of this.#reaches.keys()) if (!names.has(node)) this.#reaches.delete(node);
    if (gateway(subnet) !== this.#address || this.#socket === undefined) this.#open(gateway(subnet));
    this.#schedule();
  }

  reach(node: string): Pick<PeerReach, 'sent' | 'loss' | 'roundTrip'> {
    return summary(this.#reaches.get(node) ?? [], this.#clock.monotonic());
  }

  stop(): void {
    this.#cancelProbe();
    this.#cancelOpen();
    this.#socket?.close();
    this.#socket = undefined;
  }

  #open(address: string): void {
    this.#cancelOpen();
    this.#socket?.close();
    this.#address = address;
    const socket = createSocket('udp4');
    this.#socket = socket;
    socket.unref();
    socket.on('message', (bytes, from) => this.#take(bytes, from, socket));
    // The address is not there (yet), or is somebody else's port: tried again.
    socket.on('error', () => {
      if (this.#socket !== socket) return;
      socket.close();
      this.#socket = undefined;
      this.#cancelOpen = this.#clock.setTimer(() => this.#open(address), REOPEN_MS);
    });
    socket.bind({address, port: PROBE_PORT});
  }

  #schedule(): void {
    this.#cancelProbe();
    const peers = this.#byAddress.size;
    if (peers > 0) this.#cancelProbe = this.#clock.setTimer(() => this.#probe(), intervalOf(peers) / peers);
  }

  /** The next one in turn. */
  #probe(): void {
    const peers = [...this.#byAddress];
    const [address, node] = peers[this.#next++ % peers.length] ?? [];
    if (address !== undefined && node !== undefined && this.#socket) {
      this.#sequence = (this.#sequence + 1) % 2 ** 32;
      this.#reaches.set(node, sent(this.#reaches.get(node) ?? [], this.#sequence, this.#clock.monotonic()));
      // What cannot be sent is lost, and counts as that.
      this.#socket.send(encodeProbe('probe', this.#sequence), PROBE_PORT, address, () => undefined);
    }
    this.#schedule();
  }

  #take(bytes: Uint8Array, from: {readonly address: string; readonly port: number}, socket: Socket): void {
    const probe = decodeProbe(bytes);
    if (probe === undefined) return;
    if (probe.kind === 'probe') {
      // Nobody can be answered at port 0, and to try throws.
      if (from.port !== 0 && isWithin(this.#cidr, from.address)) socket.send(encodeProbe('answer', probe.sequence), from.port, from.address, () => undefined);
      return;
    }
    const node = this.#byAddress.get(from.address);
    const reach = node === undefined ? undefined : this.#reaches.get(node);
    if (node !== undefined && reach !== undefined) this.#reaches.set(node, answered(reach, probe.sequence, this.#clock.monotonic()));
  }
}

function gateway(subnet: string): string {
  const range = parseCidr(subnet);
  return range === undefined ? '' : gatewayOf(range);
}

function isWithin(cidr: string, address: string): boolean {
  const [range, value] = [parseCidr(cidr), parseAddress(address)];
  return range !== undefined && value !== undefined && contains(range, value);
}
