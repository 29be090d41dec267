/**
 * The machine's member of the ring on the bus, by its agent or, where the sidecar is told of a bus, by itself: it tells each change, reports how it sees the ring, and hears who leads. Without the bus everything
 * else goes on; when it is back the whole is reported.
 */
import {type Bus, emit, listen, type Subscription} from '@hivemind/bus';
import {leaderChanged, meetMembers, membershipChanged, membershipReport, REPORT_MEMBERS, reportWhole} from '@hivemind/contracts';
import type {MemberInfo} from '@hivemind/membership/model';
import type {Logger} from 'pino';
import type {LeaderWatch} from './leader-watch.ts';
import type {MemberListener} from './membership/listen.ts';
import {reportsOf, sightingOf, type Told} from './report.ts';

/** Changes of so long (ms) are told in one report: a death is known to many at once. */
const GATHER_MS = 50;
/** A report is due so often (ms), changes or not. */
const REPORT_EVERY_MS = 10_000;

/** The machine's member of the ring, in this process or behind the sidecar's socket. */
export interface LinkedMember {
  readonly name: string;
  members(): Promise<readonly MemberInfo[]>;
  /** First the whole, then each change. Answers how to stop. */
  listen(listener: MemberListener): () => void;
  /** Joins those, `host:port` each. What it rejects with is of no consequence: it is told again. */
  meet(addresses: readonly string[]): Promise<unknown>;
}

export interface BusLinkOptions {
  readonly bus: Bus;
  readonly member: LinkedMember;
  readonly leader: Pick<LeaderWatch, 'heardOnBus'>;
  /** Unique to this link: its reports are counted from 1. */
  readonly boot: string;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
}

export async function linkToBus(options: BusLinkOptions): Promise<{stop(): Promise<void>}> {
  const link = new BusLink(options);
  await link.start();
  return link;
}

class BusLink {
  readonly #options: BusLinkOptions;
  readonly #node: {readonly node: string};
  readonly #stops: (() => void)[] = [];
  readonly #subscriptions: Subscription[] = [];
  #seq = 0;
  /** undefined: the next report is a whole one. */
  #told: Told | undefined;
  #reporting = false;
  #again = false;
  #stopped = false;
  #cancelGathering: (() => void) | undefined;
  #cancelNext: () => void = () => undefined;

  constructor(options: BusLinkOptions) {
    this.#options = options;
    this.#node = {node: options.member.name};
  }

  async start(): Promise<void> {
    const {bus, member, leader} = this.#options;
    this.#subscriptions.push(
      await listen(bus, leaderChanged, {}, (message) => leader.heardOnBus(message)),
      await listen(bus, reportWhole, this.#node, () => this.#whole()),
      await listen(bus, meetMembers, this.#node, ({addresses}) => void member.meet(addresses).catch((err: unknown) => this.#options.logger.debug({err, addresses}, 'the ring could not be joined there'))),
    );
    this.#stops.push(
      bus.onStatus((status) => {
        if (status === 'connected') this.#whole();
      }),
      member.listen({
        whole: () => this.#soon(),
        changed: ({type, member: info}) => {
          this.#tell(type, info);
          this.#soon();
        },
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelGathering?.();
    this.#cancelNext();
    for (const stop of this.#stops) stop();
    await Promise.allSettled(this.#subscriptions.map((subscription) => subscription.unsubscribe()));
  }

  #tell(type: 'joined' | 'suspected' | 'cleared' | 'died' | 'left' | 'updated', info: MemberInfo): void {
    const {bus, logger} = this.#options;
    emit(bus, membershipChanged, this.#node, {type, member: sightingOf(info)}).catch((err: unknown) => logger.debug({err}, 'a change could not be told: the report will'));
  }

  #whole(): void {
    this.#told = undefined;
    this.#soon();
  }

  #soon(): void {
    if (this.#stopped) return;
    this.#cancelGathering ??= this.#options.setTimer(() => {
      this.#cancelGathering = undefined;
      void this.#report();
    }, GATHER_MS);
  }

  /** One at a time; one asked for meanwhile follows. */
  async #report(): Promise<void> {
    if (this.#reporting) {
      this.#again = true;
      return;
    }
    this.#reporting = true;
    this.#cancelNext();
    try {
      await this.#send();
    } catch (err) {
      this.#told = undefined;
      this.#options.logger.debug({err}, 'the ring could not be reported; the whole will be when the bus is back');
    } finally {
      this.#reporting = false;
      if (!this.#stopped) this.#cancelNext = this.#options.setTimer(() => void this.#report(), REPORT_EVERY_MS);
      if (this.#again) this.#soon();
      this.#again = false;
    }
  }

  async #send(): Promise<void> {
    const {bus, boot, member} = this.#options;
    const before = this.#told;
    // A wish for the whole that comes meanwhile is not undone by this report.
    this.#told = before ?? new Map();
    const marker = this.#told;
    const {messages, told} = reportsOf(before, await member.members(), this.#seq + 1, REPORT_MEMBERS);
    for (const message of messages) {
      this.#seq = message.seq;
      await emit(bus, membershipReport, this.#node, {boot, ...message, members: [...message.members], gone: [...message.gone]});
    }
    if (this.#told === marker) this.#told = told;
  }
}
