/** From a change in the store to what it means to a reader of the API. Pure. */
import type {ChangeEvent} from '@hivemind/store';
import * as z from 'zod';

/** One change, as `/events` tells it. */
export interface PublicChange {
  readonly type: 'created' | 'updated' | 'deleted';
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

export interface ChangeFilter {
  readonly kind?: readonly string[] | undefined;
  /** Absent: all. What is in no namespace passes. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** What a container or rollout says of its place: its key alone tells too little once it is gone. */
const Home = z.object({namespace: z.string(), app: z.string(), id: z.string()});
type Home = z.infer<typeof Home>;

/** Collections whose records are resources: key is `namespace/name`, or `name`. */
const resources: Readonly<Record<string, string>> = {
  namespaces: 'Namespace', apps: 'App', configs: 'Config', secrets: 'Secret', volumes: 'Volume', nodes: 'Node', events: 'Event', members: 'Member',
};
/** Collections that are part of another resource's status: a change there is an update of it. */
const parts: Readonly<Record<string, string>> = {'node-status': 'Node', 'node-leases': 'Node', 'node-verdicts': 'Node'};
/** Collections whose records are resources themselves and part of their app's status. */
const partsOfApps: Readonly<Record<string, string>> = {containers: 'Container', rollouts: 'Deployment'};

/** What a reader of the API may be told of. */
export const watchedCollections: readonly string[] = [...Object.keys(resources), ...Object.keys(parts), ...Object.keys(partsOfApps), 'container-status'];
/** Collections to show to `learn` before the first change. */
export const learnedCollections: readonly string[] = Object.keys(partsOfApps);
export const publicKinds: readonly string[] = [...new Set([...Object.values(resources), ...Object.values(partsOfApps)])].sort();

/** Maps changes, remembering where containers and rollouts belong so that their removal can be told with it. */
export class ChangeMap {
  readonly #homes = new Map<string, Home>();

  /** Learn of a record that was there before the first change. */
  learn(collection: string, key: string, value: string): void {
    const home = readHome(value);
    if (home) this.#homes.set(`${collection}/${key}`, home);
  }

  /** The changes that a batch amounts to: one a resource, in order. */
  changes(events: readonly ChangeEvent[], filter: ChangeFilter): readonly PublicChange[] {
    const merged = new Map<string, PublicChange>();
    for (const event of events) {
      for (const change of this.#changesOf(event)) {
        if (!passes(change, filter)) continue;
        const id = `${change.kind}/${change.namespace ?? ''}/${change.name}`;
        merged.set(id, merge(merged.get(id), change));
      }
    }
    return [...merged.values()];
  }

  #changesOf(event: ChangeEvent): readonly PublicChange[] {
    const {collection, key} = event.type === 'put' ? event.record : event;
    const type = event.type === 'delete' ? 'deleted' : event.record.created === event.record.version ? 'created' : 'updated';
    const kind = resources[collection];
    if (kind !== undefined) return [{type, kind, ...place(key)}];
    const whole = parts[collection];
    if (whole !== undefined) return [{type: 'updated', kind: whole, ...place(key)}];
    if (collection !== 'container-status') return this.#partOfApp(event, collection, key, type);
    // When a status goes, its container is gone too, and that is told already.
    return event.type === 'put' ? this.#partOfApp(event, 'containers', key, 'updated') : [];
  }

  #partOfApp(event: ChangeEvent, collection: string, key: string, type: PublicChange['type']): readonly PublicChange[] {
    const kind = partsOfApps[collection];
    if (kind === undefined) return [];
    if (event.type === 'put') this.learn(collection, key, event.record.value);
    const home = this.#homes.get(`${collection}/${key}`);
    if (type === 'deleted') this.#homes.delete(`${collection}/${key}`);
    // Unknown only when a reader resumes past the point where the record was last written.
    if (!home) return [{type, kind, name: key}];
    const {namespace, app, id} = home;
    return [{type, kind, namespace, name: id}, {type: 'updated', kind: 'App', namespace, name: app}];
  }
}

function place(key: string): {namespace?: string; name: string} {
  const slash = key.indexOf('/');
  return slash < 0 ? {name: key} : {namespace: key.slice(0, slash), name: key.slice(slash + 1)};
}

/** Created then updated is created; deleted, whatever came before, is deleted; deleted then there again is an update. */
function merge(before: PublicChange | undefined, change: PublicChange): PublicChange {
  if (!before || change.type === 'deleted') return change;
  return {...change, type: before.type === 'deleted' && change.type === 'created' ? 'updated' : before.type};
}

function passes(change: PublicChange, {kind, namespace, name}: ChangeFilter): boolean {
  return (kind === undefined || kind.includes(change.kind)) &&
    (namespace === undefined || change.namespace === undefined || change.namespace === namespace) &&
    (name === undefined || change.name === name);
}

function readHome(value: string): Home | undefined {
  try {
    return Home.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
