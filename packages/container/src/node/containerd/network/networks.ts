/**
 * The containers' networks on this machine: the cluster's bridge where there is one, else a bridge of the driver's own for each
 * network, with a range of addresses and a way out. What a container has is kept with it, so that nothing else need be.
 */
import {readFile, truncate, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {runtimeErrors, type RuntimeSpec} from '@hivemind/runtime';
import type {Logger} from 'pino';
import {sha256} from '../images/store.ts';
import type {Place} from '../place.ts';
import type {Kept} from '../record.ts';
import type {Attachment} from './attachment.ts';
import {piped, run} from './command.ts';
import {letThrough, letThroughNoMore} from './filter.ts';
import {bridgesOf, connect, disconnect, ensureBridge, pairs, rangesInUse, reconnect, routeLoopback} from './links.ts';
import {withNames} from './names.ts';
import {checkPorts, chosenPorts} from './ports.ts';
import {freeAddress, freeSubnet, gatewayOf} from './ranges.ts';
import {ruleset} from './rules.ts';
import {Shell} from './shell.ts';

export type Connections = Pick<Kept, 'attachments' | 'published' | 'search' | 'named'>;

export interface NetworksOptions {
  readonly cluster: string;
  readonly place: Place;
  /** This cluster's containers, by containerd's id. */
  readonly containers: () => Promise<ReadonlyMap<string, Kept>>;
  readonly logger: Logger;
}

const MTU = 1500;
/** Of many that start at once, the others are told together (ms). */
const TELL_MS = 50;
const hex = (text: string, digits: number): string => sha256(text).slice(7, 7 + digits);

export class Networks {
  readonly #options: NetworksOptions;
  /** Of containers that there are, and of those being made. */
  readonly #assigned = new Map<string, Connections>();
  readonly #running = new Map<string, Connections>();
  /** Bridges of the driver's that are known to be there, or are being made. */
  readonly #bridges = new Map<string, Promise<void>>();
  /** The driver's own networks, by bridge: one keeps its range while nobody is on it. */
  readonly #own = new Map<string, Pick<Attachment, 'subnet' | 'gateway' | 'bridge'>>();
  readonly #shell = new Shell();
  #loaded: Promise<void> | undefined;
  #assigning: Promise<unknown> = Promise.resolve();
  #ruling: Promise<void> = Promise.resolve();
  #naming: Promise<void> | undefined;
  #nameAgain = false;
  #telling: NodeJS.Timeout | undefined;
  #written = '';

  constructor(options: NetworksOptions) {
    this.#options = options;
  }

  /** What a container will have: the same when asked again. @throws `start-failed` where there is nothing left to give */
  assign(runtimeId: string, spec: RuntimeSpec): Promise<Connections> {
    const assigned = this.#assigning.then(async () => {
      await this.#load();
      const known = this.#assigned.get(runtimeId);
      if (known) return known;
      const made = await this.#chosen(spec);
      this.#assigned.set(runtimeId, made);
      return made;
    });
    this.#assigning = assigned.catch(() => undefined);
    return assigned;
  }

  /**
   * Connects what is about to run.
   * @param pid of its first process, whose network namespace it is. @throws `port-in-use`, `start-failed`
   */
  async attach(runtimeId: string, pid: number, connections: Connections): Promise<void> {
    const {attachments, published} = connections;
    if (attachments.length === 0) return;
    const others = [...this.#running].flatMap(([id, other]) => (id === runtimeId ? [] : other.published));
    this.#running.set(runtimeId, {...connections});
    try {
      await checkPorts(published, others);
      await this.#connect(runtimeId, pid, attachments).catch(async (error: unknown) => {
        // A bridge that somebody removed.
        if (!/Cannot find device|does not exist|argument "hm\S+" is wrong/.test(String(error))) throw error;
        for (const {bridge} of attachments) this.#bridges.delete(bridge);
        await this.#connect(runtimeId, pid, attachments);
      });
      await lead(connections);
      await Promise.all([this.#rule(), this.#writeNames([runtimeId])]);
      this.#telling ??= setTimeout(() => {
        this.#telling = undefined;
        void this.#name();
      }, TELL_MS).unref();
    } catch (error) {
      this.#running.delete(runtimeId);
      throw error;
    }
  }

  /** It runs no more. */
  async detach(runtimeId: string): Promise<void> {
    if (!this.#running.delete(runtimeId)) return;
    await Promise.all([this.#rule(), this.#name()]);
  }

  /** It is said to have ended. @param runs whether it runs now: it may have been started again meanwhile */
  async ended(runtimeId: string, runs: () => Promise<boolean>): Promise<void> {
    const was = this.#running.get(runtimeId);
    if (was === undefined || (await runs())) return;
    if (this.#running.get(runtimeId) === was) await this.detach(runtimeId);
  }

  /** It is gone for good. */
  async release(runtimeId: string): Promise<void> {
    this.#assigned.delete(runtimeId);
    await this.detach(runtimeId);
  }

  /** After a start of agent or containerd: puts right what is not as it was. @param list who has a task, by containerd's id */
  async adopt(list: () => Promise<ReadonlyMap<string, Connections & {readonly pid: number; readonly started: boolean}>>): Promise<void> {
    const before = new Map(this.#running);
    const running = await list();
    this.#bridges.clear();
    for (const [id, was] of before) if (!running.has(id) && this.#running.get(id) === was) this.#running.delete(id);
    for (const [id, connections] of running) if (!this.#running.has(id)) this.#running.set(id, connections);
    // One that is not started yet is being connected just now, or will be deleted.
    const connected = [...running].filter(([, {attachments, started}]) => started && attachments.length > 0);
    const there = connected.length === 0 ? new Map<string, string | undefined>() : await pairs();
    for (const [runtimeId, connections] of connected) {
      try {
        await this.#mend(runtimeId, connections.pid, connections.attachments, there);
        await lead(connections);
      } catch (err) {
        this.#options.logger.warn({err, container: runtimeId}, 'a container that runs could not be connected to its network again');
      }
    }
    this.#written = '';
    await Promise.all([this.#rule(true), this.#name()]);
  }

  /** Removes bridges that no container is on, and with the last the rules. */
  async prune(): Promise<void> {
    await this.#assigning;
    const kept = [...(await this.#options.containers()).values(), ...this.#assigned.values()];
    const inUse = new Set(kept.flatMap(({attachments}) => attachments.map(({bridge}) => bridge)));
    for (const bridge of await bridgesOf(this.#mark)) {
      if (inUse.has(bridge)) continue;
      this.#bridges.delete(bridge);
      this.#own.delete(bridge);
      await disconnect(bridge);
    }
    if (inUse.size > 0) return;
    await this.#rule(true);
    await letThroughNoMore();
  }

  close(): void {
    clearTimeout(this.#telling);
    this.#shell.close();
  }

  get #mark(): string {
    return `hivemind:${this.#options.cluster}`;
  }

  get #table(): string {
    return `hivemind_c_${hex(this.#options.cluster, 8)}`;
  }

  #load(): Promise<void> {
    if (!this.#loaded) {
      this.#loaded = this.#options.containers().then((containers) => {
        for (const [id, kept] of containers) if (!this.#assigned.has(id)) this.#assigned.set(id, kept);
      });
      this.#loaded.catch(() => (this.#loaded = undefined));
    }
    return this.#loaded;
  }

  async #chosen({record, networks, network}: RuntimeSpec): Promise<Connections> {
    const all = [...this.#assigned.values()];
    const attachments: Attachment[] = [];
    if (network) {
      const {bridge, subnet, gateway, mtu, address} = network;
      attachments.push({network: networks[0]?.name ?? bridge, bridge, own: false, subnet, gateway, mtu, address, aliases: [...(networks[0]?.aliases ?? [])]});
    } else {
      for (const {name, aliases} of networks) {
        const {subnet, gateway, bridge} = await this.#network(name, [...all.flatMap((each) => each.attachments), ...attachments]);
        const address = freeAddress(subnet, new Set([gateway, ...all.flatMap((each) => each.attachments.map((one) => one.address))]));
        if (address === undefined) throw runtimeErrors['start-failed'](`Creating ${record.id} failed: the network ${name} has no address left (${subnet}).`);
        attachments.push({network: name, bridge, own: true, subnet, gateway, mtu: MTU, address, aliases: [...aliases]});
      }
    }
    const wanted = record.ports.filter(({host}) => host !== undefined);
    if (attachments.length === 0 && wanted[0]) throw runtimeErrors['start-failed'](`Creating ${record.id} failed: port ${wanted[0].container} cannot be published: the container is on no network.`);
    return {
      attachments, published: [...(await chosenPorts(wanted, all.flatMap(({published}) => published)))],
      search: [...(network?.dns.search ?? [])], named: attachments.length > 0 && (network?.dns.servers.length ?? 0) === 0,
    };
  }

  async #network(name: string, known: readonly Attachment[]): Promise<Pick<Attachment, 'subnet' | 'gateway' | 'bridge'>> {
    const bridge = `hmb${hex(`${this.#options.cluster}/${name}`, 12)}`;
    const same = known.find((attachment) => attachment.own && attachment.network === name) ?? this.#own.get(bridge);
    if (same) return same;
    const subnet = freeSubnet([...(await rangesInUse()), ...known.map((attachment) => attachment.subnet)]);
    if (subnet === undefined) throw runtimeErrors['start-failed'](`The network ${name} cannot be made: this machine has no range of addresses left for it.`);
    const made = {subnet, gateway: gatewayOf(subnet), bridge};
    this.#own.set(bridge, made);
    return made;
  }

  async #connect(runtimeId: string, pid: number, attachments: readonly Attachment[]): Promise<void> {
    await Promise.all(attachments.map((attachment) => this.#ensure(attachment)));
    await connect(this.#shell, pid, attachments, namesOf(runtimeId, attachments));
  }

  async #mend(runtimeId: string, pid: number, attachments: readonly Attachment[], there: ReadonlyMap<string, string | undefined>): Promise<void> {
    await Promise.all(attachments.map((attachment) => this.#ensure(attachment)));
    const names = namesOf(runtimeId, attachments);
    if (names.some((name) => !there.has(name))) {
      for (const name of names) await disconnect(name);
      return connect(this.#shell, pid, attachments, names);
    }
    for (const [at, {bridge}] of attachments.entries()) {
      const name = names[at];
      if (name !== undefined && there.get(name) !== bridge) await reconnect(name, bridge);
    }
  }

  #ensure(attachment: Attachment): Promise<void> {
    const {bridge, own} = attachment;
    if (!own) return Promise.resolve();
    this.#own.set(bridge, attachment);
    let made = this.#bridges.get(bridge);
    if (!made) {
      made = ensureBridge(attachment, this.#mark).then(letThrough);
      made.catch(() => this.#bridges.delete(bridge));
      this.#bridges.set(bridge, made);
    }
    return made;
  }

  /** @param anew Whatever was written before: another hand may have been at it */
  #rule(anew = false): Promise<void> {
    const ruled = this.#ruling.then(async () => {
      const published = [...this.#running.values()].filter((each) => each.published.length > 0);
      if (published.length === 0 && this.#own.size === 0) {
        // There is a table only if there was something for it before.
        if (this.#written !== '' || anew) await run('nft', ['delete', 'table', 'ip', this.#table]).catch(() => undefined);
        this.#written = '';
        return;
      }
      const rules = ruleset(this.#table, [...this.#own.values()], published);
      if (rules !== this.#written) await this.#shell.run(piped('nft -f -', rules));
      this.#written = rules;
    });
    this.#ruling = ruled.catch(() => undefined);
    return ruled;
  }

  /** Into the files of all that run: what comes meanwhile is done in one more round. */
  async #name(): Promise<void> {
    this.#nameAgain = true;
    while (this.#nameAgain || this.#naming) {
      if (this.#naming) {
        await this.#naming;
        continue;
      }
      this.#nameAgain = false;
      this.#naming = this.#writeNames().finally(() => (this.#naming = undefined));
    }
  }

  /** @param only These containers' files; all when absent */
  async #writeNames(only?: readonly string[]): Promise<void> {
    const {place, logger} = this.#options;
    const named = [...this.#running].filter(([, {named: wanted}]) => wanted);
    const all = named.flatMap(([, {attachments}]) => attachments);
    await Promise.all(named.map(async ([runtimeId, {attachments, search}]) => {
      if (only?.includes(runtimeId) === false) return;
      const path = join(place.files(runtimeId), 'hosts');
      try {
        const text = await readFile(path, 'utf8');
        const wanted = withNames(text, attachments, all, search);
        // In place: it is mounted into the container.
        if (wanted !== text) await writeFile(path, wanted, {flag: 'r+'}).then(() => shorten(path, wanted, text));
      } catch (err) {
        if (this.#running.has(runtimeId)) logger.warn({err, container: runtimeId}, 'a container cannot be told the names of others');
      }
    }));
  }
}

/** Published ports at 127.0.0.1 lead to its first network. */
async function lead({attachments: [first], published}: Connections): Promise<void> {
  if (first !== undefined && published.length > 0) await routeLoopback(first.bridge);
}

/** Not before it is written: it is never seen empty. */
async function shorten(path: string, wanted: string, before: string): Promise<void> {
  if (Buffer.byteLength(before) > Buffer.byteLength(wanted)) await truncate(path, Buffer.byteLength(wanted));
}

/** Of the pairs, on the machine's side: 15 characters at most. */
function namesOf(runtimeId: string, attachments: readonly Attachment[]): readonly string[] {
  return attachments.map((_, at) => `hmv${hex(`${runtimeId}/${at}`, 11)}`);
}
