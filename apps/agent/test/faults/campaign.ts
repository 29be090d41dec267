/** One run of the fault suite: faults and changes side by side, then peace, and a look at what is left of what was promised. */
import {cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {App, Container, Node} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';
import type {RuntimeName} from '../engines.ts';
import type {Member} from '../member.ts';
import type {Program} from '../program.ts';
import {Client} from './client.ts';
import {type Diary, lostVolumes, overlaps, readLives} from './history.ts';
import {inflict, untilFit} from './inflict.ts';
import {acknowledged, emptyWorld, endingOf, LOG_DIR, nameOf, nextOperation, type World} from './model.ts';
import {seeded} from './random.ts';
import {type Deed, unexplainedEnds} from './reasons.ts';
import {faultText, scheduleFaults, type ScheduledFault, type Setting, targetOf} from './schedule.ts';
import {discrepancies, type Found} from './verdict.ts';

export interface CampaignOptions {
  readonly seed: number;
  /** How long things go wrong, ms. */
  readonly durationMs: number;
  readonly services: 'together' | 'apart';
  /** Default: docker. */
  readonly runtime?: RuntimeName;
  /** Told what is done as it is done. */
  readonly tell?: (line: string) => void;
  /** A directory for what everybody said and wrote, whatever comes out; default: it goes with the machines. */
  readonly evidence?: string;
}

export interface Outcome {
  /** What must not have been; none: the run passed. */
  readonly violations: readonly string[];
  readonly faults: readonly ScheduledFault[];
  readonly changes: number;
  /** From the end of the last fault until all was as asked, ms. */
  readonly convergedMs: number;
}

/** Between two changes, ms. */
const CHANGE_GAP_MS = [200, 2_500] as const;
/** Nothing is promised of how soon: a busy computer may take its time. */
const CONVERGE_MS = 180_000;
/** A change that is not taken for so long (ms) never will be. */
const LATE_MS = 180_000;
const DISK_MB = 16;

export async function runCampaign({seed, durationMs, services, runtime = 'docker', tell = () => undefined, evidence}: CampaignOptions): Promise<Outcome> {
  await using cluster = await startCluster({services, runtime, supervised: true, diskMb: DISK_MB, onBoot: giveLog});
  const [first, ...rest] = cluster.members.map(({name}) => name);
  const [service, ...others] = cluster.control.programs.keys();
  if (first === undefined || service === undefined) throw new TypeError('a cluster has machines and services');
  await waitFor(() => cluster.members.every((member) => member.sidecarPids().length > 0), {what: 'each machine to have its sidecar'});
  const setting: Setting = {nodes: [first, ...rest], services: [service, ...others], sidecars: true, smallDisks: true};
  const campaign = new Campaign(cluster, seed, tell);
  const outcome = await campaign.run(scheduleFaults(seed, durationMs, setting), durationMs);
  if (evidence !== undefined) campaign.keep(evidence);
  return outcome;
}

/** Where its containers keep their diaries: on the disk, by a name that is the same on every machine. */
function giveLog({machine}: Member): void {
  const dir = join(machine.dir, 'log');
  mkdirSync(dir, {recursive: true});
  symlinkSync(dir, join(machine.runDir, basename(LOG_DIR)));
}

class Campaign {
  readonly #cluster: TestCluster;
  readonly #client: Client;
  readonly #seed: number;
  readonly #tell: (line: string) => void;
  readonly #violations = new Set<string>();
  readonly #deeds: Deed[] = [];
  readonly #zero = uptime();
  #world: World = emptyWorld;
  #record: object = {};
  #changes = 0;

  constructor(cluster: TestCluster, seed: number, tell: (line: string) => void) {
    this.#cluster = cluster;
    this.#seed = seed;
    this.#tell = tell;
    this.#client = new Client({api: cluster.api, image: cluster.image, onViolation: (what) => void this.#violations.add(what)});
  }

  async run(faults: readonly ScheduledFault[], durationMs: number): Promise<Outcome> {
    const peace = new AbortController();
    const over = new AbortController();
    const changing = this.#change(peace.signal, over.signal);
    const began = performance.now();
    try {
      await this.#inflict(faults, began);
      await pause(Math.max(0, began + durationMs - performance.now()));
      await this.#cluster.mend();
    } catch (error) {
      over.abort(error);
      throw error;
    } finally {
      peace.abort();
      await changing;
    }
    const from = performance.now();
    await this.#converge(from + CONVERGE_MS);
    const convergedMs = Math.round(performance.now() - from);
    const running = new Set((await this.#cluster.running()).map(({id}) => id));
    const diaries = this.#diaries();
    this.#record = {diaries, deeds: this.#deeds, running: [...running]};
    const falls = this.#programs().flatMap(({name, falls: own}) => own.map((how) => `${name} ended by itself: ${how}`));
    return {violations: [...this.#violations, ...overlaps(diaries), ...lostVolumes(diaries), ...unexplainedEnds(diaries, this.#deeds, running), ...falls], faults, changes: this.#changes, convergedMs};
  }

  /** What there is to be read afterwards. */
  keep(dir: string): void {
    mkdirSync(dir, {recursive: true});
    writeFileSync(join(dir, 'record.json'), JSON.stringify({seed: this.#seed, violations: [...this.#violations], ...this.#record}, undefined, 1));
    for (const program of this.#programs()) writeFileSync(join(dir, `${program.name.replace(' ', '-')}.log`), program.log());
    for (const {name, machine, dataDir} of this.#cluster.members) {
      cpSync(join(machine.dir, 'log'), join(dir, `diaries-${name}`), {recursive: true});
      cpSync(join(machine.dir, 'dockerd.log'), join(dir, `engine-${name}.log`));
      cpSync(join(dataDir, 'sidecar'), join(dir, `sidecar-${name}`), {recursive: true, filter: (path) => !path.endsWith('.sock') && !path.endsWith('.key')});
    }
  }

  #programs(): readonly Program[] {
    return [...this.#cluster.control.programs.values(), ...this.#cluster.members.map(({agent}) => agent)];
  }

  /** What a target is through with before its next fault: undoing one takes time, too. */
  async #inflict(faults: readonly ScheduledFault[], began: number): Promise<void> {
    const busy = new Map<string, Promise<void>>();
    await Promise.all(faults.map(async (scheduled) => {
      await pause(Math.max(0, began + scheduled.atMs - performance.now()));
      const target = targetOf(scheduled.fault);
      const turn = (busy.get(target) ?? Promise.resolve()).then(() => this.#fault(scheduled)).catch((error: unknown) => {
        this.#violations.add(`${faultText(scheduled)} was not done, or not undone: ${String(error)}`);
      });
      busy.set(target, turn);
      await turn;
    }));
  }

  async #fault(scheduled: ScheduledFault): Promise<void> {
    this.#tell(faultText(scheduled));
    await untilFit(this.#cluster, scheduled.fault);
    const from = this.#now();
    const undo = await inflict(this.#cluster, scheduled.fault);
    await pause(scheduled.forMs);
    await undo();
    this.#deeds.push({from, to: this.#now(), fault: scheduled.fault});
  }

  /** One change after another; the one that is under way when peace comes is seen through. */
  async #change(peace: AbortSignal, over: AbortSignal): Promise<void> {
    const random = seeded(this.#seed + 1);
    while (!peace.aborted) {
      const operation = nextOperation(this.#world, random);
      const name = nameOf(operation);
      const from = this.#now();
      const before = this.#world.apps.get(name);
      try {
        await this.#client.settle(operation, before, AbortSignal.any([over, AbortSignal.timeout(LATE_MS)]));
      } catch (error) {
        // What became of it is not known, so nothing more can be said of the app.
        this.#violations.add(`${operation.kind} ${name} was not taken within ${LATE_MS / 1000} s: ${String(error)}`);
        return;
      }
      this.#world = acknowledged(this.#world, operation);
      const ends = endingOf(operation, before);
      if (ends !== undefined) this.#deeds.push({from, to: this.#now(), app: name, ends});
      this.#changes += 1;
      this.#tell(`          ${operation.kind} ${name}${operation.kind === 'delete' ? '' : ` (${operation.app.replicas} of version ${operation.app.version})`}`);
      await pause(random.between(...CHANGE_GAP_MS), undefined, {signal: peace}).catch(() => undefined);
    }
  }

  async #converge(deadline: number): Promise<void> {
    for (;;) {
      const wrong = await this.#look().then((found) => discrepancies(this.#world.apps, found), (error: unknown) => [String(error)]);
      if (wrong.length === 0) return;
      if (performance.now() > deadline) {
        for (const what of wrong) this.#violations.add(`not converged: ${what}`);
        return;
      }
      await pause(200);
    }
  }

  async #look(): Promise<Found> {
    const {api} = this.#cluster;
    const list = async <S extends z.ZodType>(path: string, item: S): Promise<readonly z.output<S>[]> => z.object({items: z.array(item)}).parse(await api.ask('GET', `${path}?limit=1000`)).items;
    const [apps, containers, nodes, engines] = await Promise.all([list('/apps', App), list('/containers', Container), list('/nodes', Node), this.#cluster.containers()]);
    return {
      engines,
      apps: apps.map(({name, spec, status}) => ({name, replicas: spec.replicas, version: Number(spec.env.VERSION), phase: status.phase, ready: status.replicas.ready})),
      containers: containers.map(({name, spec, status}) => ({id: name, app: spec.app, node: spec.node, runtimeId: status.runtimeId})),
      unready: new Map(nodes.filter(({status}) => status.phase !== 'ready' || !status.runtime.available).map(({name, status}) => [name, status.phase])),
    };
  }

  /** s since the run began. */
  #now(): number {
    return uptime() - this.#zero;
  }

  #diaries(): readonly Diary[] {
    return this.#cluster.members.flatMap(({name, machine}) => {
      const dir = join(machine.dir, 'log');
      return readdirSync(dir).map((file): Diary => {
        const dot = file.lastIndexOf('.');
        return {app: file.slice(0, dot), container: file.slice(dot + 1), node: name, lives: readLives(readFileSync(join(dir, file), 'utf8'), this.#zero)};
      });
    });
  }
}

/** s since boot: the clock of the diaries. */
function uptime(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}
