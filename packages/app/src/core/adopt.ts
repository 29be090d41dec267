/**
 * Rebuilding the records of what runs from the labels it carries (law 12). The rule is that nothing that is kept may be
 * stopped by what the records then say: ids stay, the newest revision that runs becomes the app's, and its replicas are at
 * least as many as run of that revision.
 */
import {AppSpec, type AppRecord, type AppRevision, type ContainerRecord, type EngineOrigin} from '@hivemind/contracts';
import {revisionOf} from './revision.ts';

export interface Found {
  /** The machine that reported it. */
  readonly node: string;
  readonly origin: EngineOrigin;
}

export interface AdoptInput {
  readonly namespace: string;
  readonly name: string;
  /** What the store knows of the app. */
  readonly app?: AppRecord;
  /** Ids and revisions of the containers that the store lists for it. */
  readonly known: readonly {readonly id: string; readonly revision: number}[];
  readonly found: readonly Found[];
  /** RFC 3339. */
  readonly now: string;
}

export interface Adoption {
  /** As it should be stored; undefined: it can stay as it is, or nothing could be adopted. */
  readonly app?: AppRecord;
  readonly revisions: readonly AppRevision[];
  readonly containers: readonly ContainerRecord[];
  readonly skipped: readonly {readonly id: string; readonly reason: string}[];
}

export function adoptApp(input: AdoptInput): Adoption {
  const {app, namespace, name} = input;
  const byAge = input.found.toSorted((a, b) => b.origin.container.revision - a.origin.container.revision || b.origin.n - a.origin.n);
  const newest = byAge[0]?.origin;
  if (newest === undefined) return {revisions: [], containers: [], skipped: []};
  const uid = app?.meta.uid ?? newest.container.appUid;
  const own = byAge.filter(({origin}) => origin.container.appUid === uid);
  const skipped = byAge.filter(({origin}) => origin.container.appUid !== uid).map(({origin}) => ({id: origin.container.id, reason: `app ${namespace}/${name} is another one of that name by now`}));
  const containers = own.map(({node, origin}) => withNode(origin.container, node));
  if (containers[0] === undefined) return {revisions: [], containers: [], skipped};
  const merged = mergedApp(input, uid, containers[0], containers);
  return {
    ...(merged === app ? {} : {app: merged}),
    revisions: revisionsOf(merged, app, containers, input.now),
    containers,
    skipped,
  };
}

function withNode({removedAt: _, ...record}: ContainerRecord, node: string): ContainerRecord {
  return {...record, node};
}

function mergedApp({app, known, namespace, name, now}: AdoptInput, uid: string, newest: ContainerRecord, containers: readonly ContainerRecord[]): AppRecord {
  const revision = Math.max(app?.revision ?? 0, newest.revision);
  const ids = new Set([...known, ...containers].filter((each) => each.revision === revision).map(({id}) => id));
  const replicas = Math.max(app?.spec.replicas ?? 0, ids.size);
  if (app !== undefined && app.revision === revision && app.spec.replicas === replicas && !app.stopped && app.deletedAt === undefined) return app;
  // What the template does not say of an app (dependencies, update) is as it was, or as for a new app.
  const spec = app !== undefined && app.revision === revision ? {...app.spec, replicas} : AppSpec.parse({...app?.spec, ...newest.template, mode: newest.mode, replicas});
  const base = app ?? {name, namespace, labels: {}, annotations: {}, restarts: 0, meta: {uid, generation: 0, createdAt: now, updatedAt: now}};
  const {deletedAt: _, ...rest} = {deletedAt: undefined, ...base};
  return {...rest, spec, revision, stopped: false, meta: {...base.meta, generation: base.meta.generation + 1, updatedAt: now}};
}

/** Every revision that runs needs its record, or its containers could not be made again. */
function revisionsOf(app: AppRecord, before: AppRecord | undefined, containers: readonly ContainerRecord[], now: string): readonly AppRevision[] {
  const templates = new Map(containers.map(({revision, template}) => [revision, template]));
  if (before === undefined || before.revision !== app.revision) templates.set(app.revision, templates.get(app.revision) ?? app.spec);
  return [...templates].filter(([number]) => before === undefined || number > before.revision).map(([number, template]) => revisionOf({...app, revision: number, spec: {...app.spec, ...template}}, 'adopt', now));
}
