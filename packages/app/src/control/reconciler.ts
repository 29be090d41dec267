/**
 * Makes what the rollouts count so. Each pass of a key waits until the view holds this manager's own last commit, plans,
 * asks the scheduler, and commits all in one transaction; a lost race reads and decides anew.
 */
import {call} from '@hivemind/bus';
import {placementRequest, resourceKey, revisionKey, splitKey, templateOf, type AppRecord, type ContainerRecord, type ContainerTemplate} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import {commit, type Compare, type Fence} from '@hivemind/store';
import type * as z from 'zod';
import {planSteps} from '../core/reconcile.ts';
import {containerId} from '../core/ids.ts';
import {unplacedText} from '../core/status.ts';
import {errors} from '../errors.ts';
import type {Steps} from '../model.ts';
import {apps, appRevisions, rollouts} from './collections.ts';
import {PlacementCommit} from './placement-commit.ts';
import {untilWon} from './races.ts';
import type {Silence} from './silence.ts';
import type {ClusterView} from './view.ts';
import {wakeNodes} from './wake-nodes.ts';

/** Most containers placed, removed or forgotten by one transaction; what is left follows in the next. */
const BATCH = 500;
/** Most bytes of templates in one transaction. */
const BATCH_BYTES = 4_000_000;
/** The next app waits for as long as one of these is not answered. */
const ASK_TIMEOUT_MS = 2000;
/** Containers, and machines, that one event names. */
const TOLD_PLACES = 5;
/** That machines are not ready yet, or still hold another one of the app, may pass: only what lasts so long (ms) is told. */
const PASSING_MS = 3_000;
const passing: ReadonlySet<string | undefined> = new Set(['ready', 'antiAffinity']);

export interface Pass {
  /** ms since the epoch when to look again, whatever happens. */
  readonly wakeAt?: number;
  /** Some containers found no machine: look again when machines change. */
  readonly unplaced: boolean;
}

/** What the scheduler answered, as far as it did. */
interface Placing extends Pick<PlaceReply, 'refusals' | 'allocationVersions' | 'passedOver'> {
  readonly records: readonly ContainerRecord[];
  readonly failure?: Error;
}
type PlaceReply = z.infer<(typeof subjects.place)['reply']>;
const nothingPlaced: Placing = {records: [], refusals: [], allocationVersions: {}};

interface Wanted {
  readonly id: string;
  readonly revision: number;
  readonly template: ContainerTemplate;
}

export class Reconciler {
  readonly #context: ManagerContext;
  readonly #view: ClusterView;
  readonly #fence: Fence;
  readonly #silence: Pick<Silence, 'ms'>;
  /** What was last said about each app's unplaced containers, so that it is not said twice. */
  readonly #told = new Map<string, string>();
  /** Since when (ms since the epoch) each app has containers without a machine. */
  readonly #unplaced = new Map<string, number>();
  /** The view must have come this far before a decision; undefined: ask the store how far it is. */
  #seen: number | undefined;

  constructor(context: ManagerContext, view: ClusterView, fence: Fence, silence: Pick<Silence, 'ms'>) {
    this.#context = context;
    this.#view = view;
    this.#fence = fence;
    this.#silence = silence;
    // Whatever an earlier leader committed came before this.
    this.#seen = fence.revision;
  }

  /** One pass of a key `namespace/name`, and another at once when a race was lost. Rejects with `fenced` when no longer the leader. */
  async reconcile(key: string, signal: AbortSignal): Promise<Pass> {
    return untilWon(() => this.#pass(key, signal));
  }

  async #pass(key: string, signal: AbortSignal): Promise<Pass> {
    this.#seen ??= (await this.#context.store.revision()).n;
    await this.#view.waitFor(this.#seen, signal);
    // All that is decided upon is read here, before anything is awaited: the commit compares these very versions.
    const view = this.#view.appView(key);
    const basis = this.#basis(key);
    const now = this.#context.now();
    const located = new Map(view.containers.map((container) => [container.record.id, this.#view.whereabouts(container, view.app, now, (node) => this.#silence.ms(node))]));
    const steps = planSteps({
      ...view,
      waiting: view.app === undefined ? [] : this.#view.waiting(view.app),
      whereabouts: ({record}) => located.get(record.id) ?? {kind: 'settled'},
      now,
    });
    const placing = await this.#place(view.app, steps, signal);
    const draft = new PlacementCommit(this.#view);
    this.#draftRemovals(draft, steps);
    if (steps.deleteApp) this.#draftDeletion(draft, key);
    this.#draftCreations(draft, placing);
    // What was taken for lost is not where its machine registers at this very moment: it may run on.
    if (!draft.isEmpty) for (const {record} of view.containers) if (located.get(record.id)?.kind === 'lost') draft.requireUnheard(record.node);
    await this.#commit(draft, basis);
    const tellAt = this.#tell(key, placing, now);
    // What could be done without the scheduler is done: now say that it failed.
    if (placing.failure !== undefined) throw placing.failure;
    return {wakeAt: tellAt === undefined ? steps.wakeAt : Math.min(tellAt, steps.wakeAt ?? Infinity), unplaced: placing.refusals.length > 0};
  }

  #basis(key: string): readonly Compare[] {
    const app = this.#view.apps.get(key);
    if (!app) return [apps.absent(key)];
    const rollout = this.#view.rolloutOf(app.value);
    return [apps.unchanged(app), ...(rollout ? [rollouts.unchanged(rollout)] : [])];
  }

  #draftRemovals(draft: PlacementCommit, {remove, forget}: Steps): void {
    const removedAt = new Date(this.#context.now()).toISOString();
    for (const id of forget.slice(0, BATCH)) {
      const stored = this.#view.containers.get(id);
      if (stored) draft.forget(stored);
    }
    for (const id of remove.slice(0, BATCH)) {
      const stored = this.#view.containers.get(id);
      if (stored) draft.remove(stored, removedAt);
    }
  }

  #draftDeletion(draft: PlacementCommit, key: string): void {
    draft.write(apps.deleting(key), ...this.#view.revisions.byIndex('app', key).map((revision) => appRevisions.deleting(revision.key)));
  }

  #draftCreations(draft: PlacementCommit, {records, allocationVersions}: Placing): void {
    for (const record of records) draft.create(record);
    for (const [node, version] of Object.entries(allocationVersions)) {
      if (draft.allocationVersion(node) !== version) throw errors['version-mismatch'](`What ${node} has promised moved while containers were placed.`);
    }
  }

  /** Where the missing containers go, with their volumes claimed there. Answers a failure rather than throwing it: removals do not depend on it. */
  async #place(app: AppRecord | undefined, steps: Steps, signal: AbortSignal): Promise<Placing> {
    const wanted = app === undefined ? [] : this.#wanted(app, steps.create);
    if (app === undefined || wanted.length === 0) return nothingPlaced;
    const {namespace, name} = app;
    try {
      const {placements, refusals, allocationVersions, passedOver} = await call(
        this.#context.bus,
        subjects.place,
        {},
        {
          requests: wanted.map(({id, template, revision}) => placementRequest({id, namespace, app: name, template, revision, perNode: app.spec.mode === 'global', volumeNode: (volume) => this.#view.volumeNode(namespace, volume)})),
          ignore: steps.forget.slice(0, BATCH),
          atLeast: this.#view.revision().n,
        },
        {signal, timeoutMs: ASK_TIMEOUT_MS},
      );
      const records = this.#records(app, wanted, placements);
      await this.#claimVolumes(records, signal);
      return {records, refusals, allocationVersions, passedOver};
    } catch (error) {
      return {...nothingPlaced, failure: error instanceof Error ? error : new Error(String(error))};
    }
  }

  /** Ids and templates of what is to be made, as many as one transaction takes. */
  #wanted(app: AppRecord, create: Steps['create']): readonly Wanted[] {
    const key = resourceKey(app.namespace, app.name);
    const random = (): number => this.#context.random();
    let bytes = 0;
    return create
      .flatMap(({revision, count}): Wanted[] => {
        const spec = revision === app.revision ? app.spec : this.#view.revisions.get(revisionKey(app.namespace, app.name, revision))?.value.spec;
        const template = spec && templateOf(spec);
        if (template === undefined) {
          this.#context.logger.warn({app: key, revision}, 'the rollout asks for a revision that is gone');
          return [];
        }
        const size = JSON.stringify(template).length;
        const most = Math.max(1, Math.min(BATCH, count, Math.floor((BATCH_BYTES - bytes) / size)));
        bytes += most * size;
        return Array.from({length: most}, () => ({id: containerId(app.name, random), revision, template}));
      })
      .slice(0, BATCH);
  }

  #records(app: AppRecord, wanted: readonly Wanted[], placements: readonly {readonly id: string; readonly node: string; readonly ports: ContainerRecord['ports']}[]): readonly ContainerRecord[] {
    const byId = new Map(wanted.map((each) => [each.id, each]));
    const createdAt = new Date(this.#context.now()).toISOString();
    return placements.flatMap(({id, node, ports}) => {
      const made = byId.get(id);
      if (made === undefined) return [];
      const {revision, template} = made;
      return [{id, namespace: app.namespace, app: app.name, appUid: app.meta.uid, revision, node, generation: 1, template, ports, mode: app.spec.mode === 'job' ? 'job' as const : 'replicated' as const, createdAt}];
    });
  }

  /** Before anything is committed to a node, its volumes are: data must never come to be in two places. */
  async #claimVolumes(placed: readonly ContainerRecord[], signal: AbortSignal): Promise<void> {
    const claims = new Map(
      placed.flatMap(({namespace, node, template}) => template.volumes.flatMap(({name}) => (name === undefined ? [] : [[`${namespace}/${name}/${node}`, {namespace, name, node}] as const]))),
    );
    if (claims.size === 0) return;
    await call(this.#context.bus, subjects.claimVolumes, {}, {claims: [...claims.values()]}, {signal, timeoutMs: ASK_TIMEOUT_MS});
  }

  async #commit(draft: PlacementCommit, basis: readonly Compare[]): Promise<void> {
    if (draft.isEmpty) return;
    draft.require(...basis);
    const {transaction, nodes} = draft.finish();
    this.#seen = undefined;
    const {n} = await commit(this.#context.store, {...transaction, fence: this.#fence});
    this.#seen = n;
    wakeNodes(this.#context, nodes, n);
  }

  /** @returns when there will be more to tell, ms since the epoch */
  #tell(key: string, {records, refusals, passedOver = [], failure}: Placing, now: number): number | undefined {
    if (records.length > 0) {
      const places = records.slice(0, TOLD_PLACES).map(({id, node}) => `${id} on ${node}`).join(', ');
      const elsewhere = passedOver.slice(0, TOLD_PLACES).map(({node, reason}) => `${node}: ${reason}`).join('; ');
      this.#event(key, 'normal', 'Placed', `${records.length} placed: ${places}${records.length > TOLD_PLACES ? ' …' : ''}${elsewhere === '' ? '' : `. Together, since others were passed over: ${elsewhere}${passedOver.length > TOLD_PLACES ? ' …' : ''}`}`);
    }
    const [refusal] = refusals;
    if (refusal === undefined) {
      if (failure === undefined) this.#told.delete(key);
      this.#unplaced.delete(key);
      return undefined;
    }
    const since = this.#unplaced.get(key) ?? now;
    this.#unplaced.set(key, since);
    if (now < since + PASSING_MS && refusal.nodes.every(({filter}) => passing.has(filter))) return since + PASSING_MS;
    const message = unplacedText(refusals.length, refusal.nodes);
    if (this.#told.get(key) === message) return undefined;
    this.#told.set(key, message);
    this.#event(key, 'warning', 'Unplaced', message);
    return undefined;
  }

  #event(key: string, type: 'normal' | 'warning', reason: string, message: string): void {
    const {namespace, name} = splitKey(key);
    recordEvent(this.#context, {namespace, kind: 'App', name, type, reason, message});
  }
}
