/**
 * Policies on this machine: asked for, heard of changes, kept on disk for when the control plane is away, and written to the
 * firewall. A container of this machine is known from before it starts, so that it is never open for a moment.
 */
import {readFile} from 'node:fs/promises';
import {type Bus, call, listen, type Subscription} from '@hivemind/bus';
import {getPolicies, isError, policiesChanged, PolicyMembers, ResolvedPolicy} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import * as z from 'zod';
import {type Member, planPolicies, POLICY_TABLE, rulesetOf} from '../core/policy/compile.ts';
import {writeAtomically} from './addresses.ts';
import {showBridge} from './kernel-settings.ts';
import {createNft, type Nft} from './nft/command.ts';
import {KeptTable} from './nft/kept-table.ts';

const Told = z.object({policies: z.array(ResolvedPolicy), members: z.array(PolicyMembers)});
const Kept = Told.extend({version: z.literal(1), cluster: z.string()});
type Told = z.infer<typeof Told>;

/** Without news. */
const REFRESH_MS = 60_000;
const RETRY_MS = 1_000;

export interface PoliciesOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly cluster: string;
  /** The file that what was told is kept in. */
  readonly path: string;
  readonly session: {current(): number | undefined; onRegistered(listener: () => void): () => void};
  /** With the containers of this machine. */
  readonly bridge: string;
  /** Containers of this machine that have an address already. */
  readonly present: () => Promise<readonly LocalContainer[]>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LocalContainer {
  readonly id: string;
  readonly namespace: string;
  readonly app: string;
  readonly address: string;
}

export class MachinePolicies {
  readonly #options: PoliciesOptions;
  readonly #nft: Nft = createNft();
  readonly #local = new Map<string, LocalContainer>();
  readonly #known = Promise.withResolvers<void>();
  #told: Told | undefined;
  /** As it was told last. */
  #version = '';
  #table: KeptTable | undefined;
  #isBridgeShown = true;
  #isGone = false;
  #subscription: Subscription | undefined;
  #unlisten = (): void => undefined;
  #cancel = (): void => undefined;
  #asking: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: PoliciesOptions) {
    this.#options = options;
  }

  get problems(): readonly string[] {
    const inForce = this.#table !== undefined;
    return [
      ...(inForce && this.#table?.problem !== undefined ? [`policies: ${this.#table.problem}`] : []),
      ...(inForce && !this.#isBridgeShown ? ['policies do not hold between containers of this machine: its kernel has no br_netfilter'] : []),
    ];
  }

  async start(): Promise<void> {
    const {bus, session} = this.#options;
    const kept = await this.#read();
    // Without its containers known, rules for those that run would be taken away.
    while (!this.#stopped && !(await this.#findPresent())) await new Promise<void>((resolve) => (this.#cancel = this.#options.clock.setTimer(resolve, RETRY_MS)));
    if (this.#stopped) return;
    if (kept) {
      this.#told = kept;
      await this.#write();
      this.#known.resolve();
    }
    this.#subscription = await listen(bus, policiesChanged, {}, ({version}) => {
      if (version !== this.#version) this.#refresh();
    });
    this.#unlisten = session.onRegistered(() => this.#refresh());
    this.#refresh();
  }

  /** @returns whether the engine answered */
  async #findPresent(): Promise<boolean> {
    try {
      for (const container of await this.#options.present()) this.#local.set(container.id, container);
      return true;
    } catch (err) {
      this.#options.logger.debug({err}, 'the engine could not be asked for its containers; policies wait for it');
      return false;
    }
  }

  /** Resolves when policies hold for the container, or there are none. */
  async admit(container: LocalContainer): Promise<void> {
    // From the first, or a connection of before the first policy is not known for an established one.
    this.#isBridgeShown = await showBridge(this.#options.bridge);
    await this.#known.promise;
    const before = this.#local.get(container.id);
    this.#local.set(container.id, container);
    if (before?.address !== container.address || before.app !== container.app) await this.#write();
  }

  async release(id: string): Promise<void> {
    if (this.#local.delete(id)) await this.#write();
  }

  /** Leaves rules as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    this.#unlisten();
    this.#known.resolve();
    await this.#subscription?.unsubscribe();
    await this.#asking;
    await this.#table?.stop();
  }

  #refresh(): void {
    this.#again = true;
    if (this.#asking || this.#stopped) return;
    this.#asking = this.#ask().finally(() => {
      this.#asking = undefined;
    });
  }

  async #ask(): Promise<void> {
    const {session, clock, logger} = this.#options;
    let delay = RETRY_MS;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const number = session.current();
      // The control plane is away, or of a release without policies: what is known holds.
      if (number === undefined) break;
      try {
        const told = await this.#fetch(number);
        if (told === undefined) {
          this.#again = true;
          continue;
        }
        await this.#take(told);
        delay = REFRESH_MS;
      } catch (err) {
        if (isError(err, 'policies-held')) delay = REFRESH_MS;
        logger.debug({err}, 'policies could not be asked for; those that are known hold');
      }
    }
    // A container does not wait for a control plane that is away.
    this.#known.resolve();
    this.#cancel();
    if (!this.#stopped) this.#cancel = clock.setTimer(() => this.#refresh(), delay);
  }

  /** undefined: they changed between two pages. */
  async #fetch(session: number): Promise<(Told & {readonly version: string}) | undefined> {
    const {bus, node} = this.#options;
    const first = await call(bus, getPolicies, {node}, {session});
    const members = [...first.members];
    for (let {next} = first; next !== null; ) {
      const page = await call(bus, getPolicies, {node}, {session, after: next});
      if (page.version !== first.version) return undefined;
      members.push(...page.members);
      next = page.next;
    }
    return {version: first.version, policies: first.policies, members};
  }

  async #take({version, policies, members}: Told & {readonly version: string}): Promise<void> {
    const isNew = JSON.stringify(this.#told) !== JSON.stringify({policies, members});
    this.#told = {policies, members};
    this.#version = version;
    if (!isNew && this.#table !== undefined) return;
    await this.#write();
    this.#known.resolve();
    if (!isNew) return;
    const {path, cluster, logger} = this.#options;
    await writeAtomically(path, JSON.stringify({version: 1, cluster, policies, members})).catch((err: unknown) => logger.warn({err}, 'policies could not be kept on disk: without the control plane a restarted machine will not know them'));
  }

  /** No policy: no table. */
  async #write(): Promise<void> {
    const {clock, logger, bridge} = this.#options;
    if (this.#told === undefined || this.#stopped) return;
    if (this.#told.policies.length === 0) {
      await this.#table?.stop();
      this.#table = undefined;
      // Looked for once: as a rule there is none, and each container that starts comes by here.
      this.#isGone ||= await removePolicies(this.#nft).then(() => true, (err: unknown) => {
        logger.debug({err}, 'it is not known whether there are rules of policies; it is tried again');
        return false;
      });
      return;
    }
    this.#isGone = false;
    this.#table ??= new KeptTable({
      table: POLICY_TABLE, nft: this.#nft, clock, logger,
      wanted: () => rulesetOf(planPolicies(this.#told?.policies ?? [], this.#members())),
      beside: async () => void (this.#isBridgeShown = await showBridge(bridge)),
    });
    await this.#table.rewrite();
  }

  /** What this machine knows of its own containers is newer than what it is told. */
  #members(): readonly Member[] {
    const own = new Map([...this.#local.values()].map(({namespace, app, address}) => [address, {namespace, app, address, isLocal: true}]));
    const others = (this.#told?.members ?? []).flatMap(({namespace, app, addresses}) => addresses.filter((address) => !own.has(address)).map((address) => ({namespace, app, address, isLocal: false})));
    return [...own.values(), ...others];
  }

  async #read(): Promise<Told | undefined> {
    const text = await readFile(this.#options.path, 'utf8').catch(() => 'null');
    try {
      const kept = Kept.safeParse(JSON.parse(text));
      return kept.success && kept.data.cluster === this.#options.cluster ? {policies: kept.data.policies, members: kept.data.members} : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Takes all policies away from this machine. @returns whether there were any. @throws `machine-unable` 503 */
export async function removePolicies(nft: Nft = createNft()): Promise<boolean> {
  if ((await nft.list(POLICY_TABLE)) === undefined) return false;
  await nft.apply(`delete table ip ${POLICY_TABLE}\n`);
  nft.close();
  return true;
}
