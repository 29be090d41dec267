/**
 * Ingress on this machine: asked for, heard of changes, kept on disk for when the control plane is away, and compiled, with who is
 * in rotation, to the plan by which the sidecar keeps HAProxy.
 */
import {existsSync, readFileSync} from 'node:fs';
import {mkdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {type Bus, call, listen, serve, type Subscription} from '@hivemind/bus';
import {getIngresses, ingressesChanged, MachineIngress, reportIngress} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import * as z from 'zod';
import {compile} from '../core/ingress/compile.ts';
import {PLAN_FILE, planText, type ProxyPlan, type ProxyState, readPlan, socketsOf} from '../core/ingress/plan.ts';
import type {EndpointsChange, ServiceView} from '../model.ts';
import {CertificateFiles, type Certificates, type OpenSecrets} from './certificates.ts';
import {writeWhole} from './whole-file.ts';

/** The sidecar, which reads the plan's file. Rejects while it is away. */
export interface IngressTarget {
  applyIngress(): Promise<ProxyState>;
}

export interface IngressOptions {
  readonly bus: Bus;
  readonly node: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly cluster: string;
  readonly services: {services(): readonly ServiceView[]; onEndpointsChanged(listener: (change: EndpointsChange) => unknown): () => void};
  readonly session: {onRegistered(listener: () => void): () => void};
  readonly openSecrets: OpenSecrets;
  /** Absent: nothing can be taken here. */
  readonly sidecar: IngressTarget | undefined;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
}

const Kept = z.object({format: z.literal(1), cluster: z.string(), version: z.string(), ingresses: z.array(MachineIngress)});
type Told = Pick<z.infer<typeof Kept>, 'version' | 'ingresses'>;

/** Without news. Files and secrets of certificates are looked at anew then. */
const REFRESH_MS = 30_000;
const RETRY_MS = 1_000;
/** Changes within it are compiled together. */
const GATHER_MS = 5;
/** How it fares is asked so often, where something is kept. */
const LOOK_EVERY_MS = 5_000;
const NO_SIDECAR = 'this machine has no sidecar, which would keep HAProxy: the log of its agent says why';

export class MachineIngresses {
  readonly #options: IngressOptions;
  readonly #planFile: string;
  readonly #toldFile: string;
  readonly #certificates: CertificateFiles;
  /** By `namespace/name`; undefined: nothing is known yet, which is not that nobody is in rotation. */
  #services: Map<string, ServiceView> | undefined;
  readonly #ends: (() => Promise<unknown> | void)[] = [];
  /** Those who wait until HAProxy leads by what they told. */
  #waiting: (() => void)[] = [];
  /** While there is something to take; else nobody needs to wait for this machine. */
  #unfollow: (() => void) | undefined;
  #told: Told | undefined;
  /** The version that was heard of last, until it was asked for. */
  #heard: string | undefined;
  /** As they were looked at last, when that was told. */
  #prepared: {readonly of: Told; readonly certificates: Certificates} | undefined;
  #plan: ProxyPlan | undefined;
  /** The one of which nothing but its files is there. */
  #swept: ProxyPlan | undefined;
  #state: ProxyState = {version: '', running: false, problem: ''};
  #stopped = false;
  #asking: Promise<void> | undefined;
  #again = false;
  #working: Promise<void> = Promise.resolve();
  #cancelAsking = (): void => undefined;
  #cancelWork: (() => void) | undefined;
  #cancelLook = (): void => undefined;

  constructor(options: IngressOptions) {
    const {dataDir, openSecrets, clock} = options;
    this.#options = options;
    this.#planFile = join(dataDir, PLAN_FILE);
    this.#toldFile = join(dataDir, 'agent', 'ingresses.json');
    this.#certificates = new CertificateFiles({dataDir, open: openSecrets, now: () => clock.now()});
  }

  /** Resolves when it goes on from what is on disk; the control plane may be away. */
  async start(): Promise<void> {
    const {bus, node, cluster, session} = this.#options;
    await mkdir(this.#certificates.dir, {recursive: true, mode: 0o700});
    this.#plan = readPlan(await readFile(this.#planFile, 'utf8').catch(() => ''));
    const kept = Kept.safeParse(parsed(await readFile(this.#toldFile, 'utf8').catch(() => '')));
    if (kept.success && kept.data.cluster === cluster) this.#told = kept.data;
    this.#ends.push(session.onRegistered(() => this.#ask()), () => this.#unfollow?.());
    const subscriptions: Subscription[] = [
      await listen(bus, ingressesChanged, {}, ({version}) => {
        if (version === this.#told?.version) return;
        this.#heard = version;
        this.#ask();
      }),
      await serve(bus, reportIngress, {node}, async () => this.#report()),
    ];
    this.#ends.push(() => Promise.all(subscriptions.map((subscription) => subscription.unsubscribe())));
    if (this.#told) this.#follow(this.#told);
    this.#ask();
    this.#look();
  }

  /** What the sidecar was told stands. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelAsking();
    this.#cancelWork?.();
    this.#cancelLook();
    for (const end of this.#ends) await end();
    await this.#asking;
    await this.#working;
  }

  #report(): ProxyState {
    if (this.#options.sidecar === undefined) return {version: this.#told?.version ?? '', running: false, problem: NO_SIDECAR};
    return this.#state;
  }

  // --- from the control plane -------------------------------------------------------------------------------------------

  #ask(): void {
    this.#again = true;
    if (this.#asking || this.#stopped) return;
    this.#asking = this.#fetchAll().finally(() => {
      this.#asking = undefined;
    });
  }

  async #fetchAll(): Promise<void> {
    const {clock, logger} = this.#options;
    let delay = REFRESH_MS;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        const told = await this.#fetch();
        if (told === undefined) this.#again = true;
        else await this.#take(told);
        // Who was asked may not have seen it yet.
        if (this.#heard !== undefined && told !== undefined && told.version !== this.#heard) delay = RETRY_MS;
        if (!this.#again) this.#heard = undefined;
      } catch (err) {
        logger.debug({err}, 'ingresses could not be asked for; those that are known stand');
        delay = RETRY_MS;
      }
    }
    this.#cancelAsking();
    if (!this.#stopped) this.#cancelAsking = clock.setTimer(() => this.#ask(), delay);
  }

  /** undefined: they changed between two pages. */
  async #fetch(): Promise<Told | undefined> {
    const {bus, node} = this.#options;
    const first = await call(bus, getIngresses, {node}, {});
    const ingresses = [...first.ingresses];
    for (let {next} = first; next !== null; ) {
      const page = await call(bus, getIngresses, {node}, {after: next});
      if (page.version !== first.version) return undefined;
      ingresses.push(...page.ingresses);
      next = page.next;
    }
    return {version: first.version, ingresses};
  }

  async #take(told: Told): Promise<void> {
    const isNew = this.#told?.version !== told.version;
    this.#told = told;
    // Certificates may be others though nothing else is.
    if (isNew || told.ingresses.some(({spec}) => spec.tls.length > 0)) this.#follow(told);
    if (!isNew) return;
    const {cluster, logger} = this.#options;
    await writeWhole(this.#toldFile, JSON.stringify({format: 1, cluster, ...told})).catch((err: unknown) => logger.warn({err}, 'ingresses could not be kept on disk: an agent that starts without the control plane knows older ones'));
  }

  // --- who is in rotation -----------------------------------------------------------------------------------------------

  #follow({ingresses}: Told): void {
    if (ingresses.length > 0) this.#unfollow ??= this.#options.services.onEndpointsChanged((change) => this.#hear(change));
    this.#soon();
  }

  /** Resolves when HAProxy leads by it. */
  #hear({whole, services, gone}: EndpointsChange): Promise<void> | undefined {
    const known = (this.#services = whole ? new Map() : (this.#services ?? new Map<string, ServiceView>()));
    for (const view of services) known.set(`${view.namespace}/${view.name}`, view);
    for (const {namespace, name} of gone) known.delete(`${namespace}/${name}`);
    const asked = new Set(this.#told?.ingresses.flatMap(({namespace, spec}) => spec.rules.map(({app}) => `${namespace}/${app}`)));
    if (!whole && ![...services, ...gone].some(({namespace, name}) => asked.has(`${namespace}/${name}`))) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#soon();
    });
  }

  // --- to the sidecar ---------------------------------------------------------------------------------------------------

  #soon(): void {
    if (this.#stopped) return;
    this.#cancelWork ??= this.#options.clock.setTimer(() => {
      this.#cancelWork = undefined;
      this.#working = this.#working.then(() => this.#work()).catch((err: unknown) => this.#options.logger.warn({err}, 'the plan of ingress could not be made; the one before stands'));
    }, GATHER_MS);
  }

  async #work(): Promise<void> {
    const told = this.#told;
    if (told === undefined) return;
    const isEmpty = told.ingresses.length === 0;
    const services = isEmpty ? new Map<string, ServiceView>() : this.#services;
    if (services === undefined) return;
    // A machine that never had any has nothing to keep.
    if (isEmpty && this.#plan === undefined) {
      this.#state = {...this.#state, version: told.version};
      return;
    }
    const waiting = this.#waiting.splice(0);
    try {
      await this.#bring(told, services, waiting);
    } catch (error) {
      this.#waiting.push(...waiting);
      throw error;
    }
    // Told of others meanwhile: those are followed already.
    if (this.#told !== told || !isEmpty) return;
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#services = undefined;
  }

  async #bring(told: Told, services: ReadonlyMap<string, ServiceView>, waiting: readonly (() => void)[]): Promise<void> {
    // No change of containers waits for the one who is asked for secrets.
    if (this.#prepared?.of !== told) this.#prepared = {of: told, certificates: await this.#certificates.prepare(told.ingresses)};
    const {lists, files, problems} = this.#prepared.certificates;
    const {plan, texts} = compile({
      version: told.version, ingresses: told.ingresses, service: (key) => services.get(key),
      before: this.#plan?.places ?? {}, dir: socketsOf(proxyDir(this.#options.dataDir), isRoot()), user: proxyUser(), certificates: lists, files, folder: this.#certificates.dir, problem: problems.join('; '),
    });
    const text = planText(plan);
    for (const [path, content] of texts) await writeWhole(path, content);
    if (this.#plan === undefined || text !== planText(this.#plan)) {
      await writeWhole(this.#planFile, text, true);
      this.#plan = plan;
      await this.#push(waiting);
    } else if (waiting.length > 0) {
      await this.#push(waiting);
    }
  }

  /** @param waiting for HAProxy to lead by the plan as it is now; while the sidecar is away, by one that it is told later */
  async #push(waiting: readonly (() => void)[]): Promise<void> {
    const {sidecar} = this.#options;
    try {
      if (sidecar !== undefined) this.#state = await sidecar.applyIngress();
      for (const resolve of waiting) resolve();
    } catch {
      this.#state = {...this.#state, running: false, problem: 'the sidecar of this machine does not answer'};
      this.#waiting.push(...waiting);
    }
    await this.#sweep().catch((err: unknown) => this.#options.logger.warn({err}, 'certificates that are not in use any more could not be removed'));
  }

  /** Keys of before are no longer than HAProxy may have to go back to them. */
  async #sweep(): Promise<void> {
    const plan = this.#plan;
    if (plan === undefined || plan === this.#swept) return;
    const {version, running, problem} = this.#state;
    const isInForce = running && version === plan.version && problem === plan.problem;
    if (plan.config !== '' && !isInForce) return;
    // Made for a plan that could not be written yet.
    const made = this.#prepared?.certificates.files ?? [];
    await this.#certificates.sweep([...plan.files, ...made]);
    this.#swept = plan;
  }

  #look(): void {
    if (this.#stopped) return;
    this.#cancelLook = this.#options.clock.setTimer(() => {
      this.#working = this.#working.then(() => (this.#plan === undefined || this.#stopped ? undefined : this.#push(this.#waiting.splice(0))));
      void this.#working.then(() => this.#look());
    }, LOOK_EVERY_MS);
  }
}

/** Of HAProxy, as the sidecar has it. */
export const proxyDir = (dataDir: string): string => join(dataDir, 'sidecar', 'ingress');

const isRoot = (): boolean => process.getuid?.() === 0;

/** Debian's package makes it. */
function proxyUser(): string | undefined {
  if (!isRoot() || !existsSync('/etc/passwd')) return undefined;
  return readFileSync('/etc/passwd', 'utf8').split('\n').some((line) => line.startsWith('haproxy:')) ? 'haproxy' : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
