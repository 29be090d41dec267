/** A running member: the pure protocol, moved by packets and time, and what it asks for carried out. */
import type {Logger} from 'pino';
import {membershipErrors} from '../errors.ts';
import type {Address, PacketMessage} from '../core/messages.ts';
import {decodeMetadata, encodeMetadata, type Metadata} from '../core/metadata.ts';
import type {Effects, MemberRow, Protocol, ProtocolEvent, StreamRequest} from '../core/protocol.ts';
import type {StreamMessage} from '../wire/index.ts';
import {Alarm, monotonic} from './clock.ts';
import type {Keyring} from './keyring.ts';
import type {Announcement, KeyringControl, Member, MemberEvent, MemberInfo, MemberStatistics} from './member.ts';
import {MAX_REMEMBERED, type Memory} from './memory.ts';
import {StreamFailed} from './streams.ts';
import type {Transport} from './transport.ts';

export interface RingParts {
  readonly protocol: Protocol;
  readonly transport: Transport;
  readonly keyring: Keyring | undefined;
  readonly memory: Memory | undefined;
  readonly logger: Logger;
}

/** ms for a whole exchange of views. */
const EXCHANGE_FOR = 10_000;
/** ms for a ping over TCP; the protocol has stopped waiting by then. */
const FALLBACK_FOR = 2000;
/** ms that saying goodbye may take. */
const LEAVE_FOR = 3000;
/** ms between two writings of what is remembered. */
const REMEMBER_EVERY = 2000;

export class Ring implements Member {
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  readonly #keyring: Keyring | undefined;
  readonly #memory: Memory | undefined;
  readonly #logger: Logger;
  readonly #alarm: Alarm;
  readonly #listeners = new Set<(event: MemberEvent) => void>();
  readonly #announcementListeners = new Set<(announcement: Announcement) => void>();
  readonly #known = new Map<string, Address>();
  #remembering: NodeJS.Timeout | undefined;
  #leaveSpread: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor({protocol, transport, keyring, memory, logger}: RingParts) {
    this.#protocol = protocol;
    this.#transport = transport;
    this.#keyring = keyring;
    this.#memory = memory;
    this.#logger = logger;
    this.#alarm = new Alarm(monotonic, () => transport.packetsIn, () => this.#tick());
    this.#alarm.set(protocol.nextTick);
  }

  get name(): string {
    return this.#protocol.name;
  }

  get address(): Address {
    return this.#protocol.address;
  }

  get keyring(): KeyringControl | undefined {
    return this.#keyring;
  }

  /** Whether it was closed, or has left. */
  get stopped(): boolean {
    return this.#stopped !== undefined;
  }

  members(): readonly MemberInfo[] {
    return this.#protocol.members().map((row) => toInfo(row));
  }

  onEvent(listener: (event: MemberEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  announce(announcement: Announcement): void {
    this.#apply(this.#protocol.announce(monotonic(), announcement));
  }

  announcements(): readonly Announcement[] {
    return this.#protocol.announcements();
  }

  onAnnouncement(listener: (announcement: Announcement) => void): () => void {
    this.#announcementListeners.add(listener);
    return () => void this.#announcementListeners.delete(listener);
  }

  setMetadata(metadata: Metadata): void {
    this.#apply(this.#protocol.setMetadata(monotonic(), encodeMetadata(metadata)));
  }

  async join(addresses: readonly Address[]): Promise<number> {
    const results = await Promise.allSettled(addresses.map((address) => this.#exchange(address, true)));
    const answered = results.filter(({status}) => status === 'fulfilled').length;
    if (answered > 0 || addresses.length === 0) return answered;
    const reasons = results.map((result) => (result.status === 'rejected' && result.reason instanceof Error ? result.reason.message : ''));
    throw membershipErrors['join-failed'](`none of ${addresses.length} answered: ${reasons.join('; ')}`);
  }

  async leave(): Promise<void> {
    if (this.#stopped) return this.#stopped;
    const spread = new Promise<void>((resolve) => {
      this.#leaveSpread = resolve;
      setTimeout(resolve, LEAVE_FOR).unref();
    });
    this.#apply(this.#protocol.leave(monotonic()));
    await spread;
    return this.close();
  }

  close(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  statistics(): MemberStatistics {
    const {health, members, probes, probeFailures, pushPulls} = this.#protocol.statistics();
    return {health, members, probes, probeFailures, pushPulls, ...this.#transport.traffic()};
  }

  /** For the transport. */
  heard(from: Address, messages: readonly PacketMessage[]): void {
    if (!this.#stopped) this.#apply(this.#protocol.receive(monotonic(), from, messages));
  }

  /** For the transport: what to answer to a message over TCP. */
  asked(from: Address, message: StreamMessage): StreamMessage | undefined {
    if (this.#stopped) return undefined;
    if (message.type === 'push-pull') {
      const state = this.#protocol.state(false);
      this.#apply(this.#protocol.receiveState(monotonic(), from, message));
      return state;
    }
    if (message.type === 'ping') {
      const forMe = message.target === '' || message.target === this.name;
      return forMe ? {type: 'ack', seq: message.seq, payload: new Uint8Array(0)} : undefined;
    }
    if (message.type === 'user') this.heard(from, [message]);
    return undefined;
  }

  async #stop(): Promise<void> {
    this.#alarm.stop();
    clearTimeout(this.#remembering);
    this.#listeners.clear();
    this.#announcementListeners.clear();
    await Promise.all([this.#transport.close(), this.#remember()]);
  }

  #tick(): void {
    if (this.#stopped) return;
    const now = monotonic();
    if (now >= this.#protocol.nextTick) this.#apply(this.#protocol.tick(now));
    else this.#alarm.set(this.#protocol.nextTick);
  }

  #apply({send, streams, events}: Effects): void {
    for (const {to, messages} of send) this.#transport.send(to, messages);
    for (const request of streams) this.#open(request);
    for (const event of events) this.#tell(event);
    if (this.#leaveSpread && this.#protocol.leaveSpread) this.#leaveSpread();
    this.#alarm.set(this.#protocol.nextTick);
  }

  #open(request: StreamRequest): void {
    const asked = request.kind === 'push-pull' ? this.#exchange(request.to, false) : this.#fallbackPing(request);
    asked.catch((error: unknown) => {
      if (this.#stopped) return;
      this.#logger.debug({err: error, to: request.to, kind: request.kind}, 'a member did not answer over TCP');
      const refused = error instanceof StreamFailed && error.code === 'ECONNREFUSED';
      if (refused && request.kind === 'fallback-ping') this.#apply(this.#protocol.fallbackRefused(monotonic(), request.seq));
    });
  }

  async #exchange(to: Address, join: boolean): Promise<void> {
    const theirs = await this.#transport.exchange(to, this.#protocol.state(join), EXCHANGE_FOR);
    if (theirs.type !== 'push-pull') throw new Error(`${to.host}:${to.port} answered with ${theirs.type} to a push-pull`);
    if (!this.#stopped) this.#apply(this.#protocol.receiveState(monotonic(), to, theirs));
  }

  async #fallbackPing({to, target, seq}: Extract<StreamRequest, {kind: 'fallback-ping'}>): Promise<void> {
    const ack = await this.#transport.exchange(to, {type: 'ping', seq, target}, FALLBACK_FOR);
    if (ack.type === 'ack' && ack.seq === seq && !this.#stopped) this.#apply(this.#protocol.fallbackAnswered(monotonic(), seq));
  }

  #tell(event: ProtocolEvent): void {
    switch (event.type) {
      case 'name-conflict':
        this.#logger.error({member: event.name, known: event.known, claimed: event.claimed}, 'two members claim one name: the later one is not let in; rename it');
        break;
      case 'announced':
        for (const listener of this.#announcementListeners) this.#guard(() => listener(event.announcement));
        break;
      case 'refuted':
        this.#logger.info({incarnation: event.incarnation}, 'this member was taken for dead, and says otherwise');
        this.#rememberSoon();
        break;
      case 'paused':
        this.#logger.warn({ms: Math.round(event.ms)}, 'this process stood still');
        break;
      default:
        this.#changed(event.type, event.member);
    }
  }

  #changed(type: MemberEvent['type'], row: MemberRow): void {
    this.#follow(row);
    this.#rememberSoon();
    this.#logger[type === 'died' || type === 'suspected' ? 'warn' : 'info']({member: row.name, address: row.address, incarnation: row.incarnation}, `member ${type}`);
    const event: MemberEvent = {type, member: toInfo(row)};
    for (const listener of this.#listeners) this.#guard(() => listener(event));
  }

  /** Members have a packet rate of their own, by address. */
  #follow({name, address, state}: MemberRow): void {
    const known = this.#known.get(name);
    const present = state === 'alive' || state === 'suspect';
    if (present && known && known.host === address.host && known.port === address.port) return;
    if (known) {
      this.#transport.forget(known);
      this.#known.delete(name);
    }
    if (present) {
      this.#transport.know(address);
      this.#known.set(name, address);
    }
  }

  #guard(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#logger.error({err: error}, 'a listener of the ring failed');
    }
  }

  #rememberSoon(): void {
    if (!this.#memory || this.#stopped) return;
    this.#remembering ??= setTimeout(() => {
      this.#remembering = undefined;
      void this.#remember();
    }, REMEMBER_EVERY).unref();
  }

  #remember(): Promise<void> {
    const members = [...this.#known.values()].slice(0, MAX_REMEMBERED);
    return this.#memory?.write({incarnation: this.#protocol.incarnation, members}) ?? Promise.resolve();
  }
}

/** The protocol's time is monotonic; people's is not. */
function toInfo({name, address, state, incarnation, meta, since, rttMs}: MemberRow): MemberInfo {
  const metadata = decodeMetadata(meta);
  return {
    name,
    address,
    state,
    incarnation,
    ...(metadata ? {metadata} : {}),
    since: Math.round(Date.now() - (monotonic() - since)),
    ...(rttMs === undefined ? {} : {rttMs}),
  };
}

