/** What the server has of each kind, to tell created from changed, and to find what left the file. */
import {projectLabelKey} from '@hivemind/compose';
import {isError} from '@hivemind/contracts';
import type * as z from 'zod';
import {ResourceView} from '../api/views.ts';
import type {Session} from '../session.ts';
import {type Bundle, collections, type Kind, prunable, type Resource} from './bundle.ts';

export interface Existing {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly project: string | undefined;
  /** As it was read: what is the same afterwards was not changed. */
  readonly state: string;
}

/** Spec, labels and annotations in short: some are written anew, with a new version, though nothing is different. */
export function stateOf({meta, labels, annotations}: z.infer<typeof ResourceView>): string {
  const sorted = (pairs: Readonly<Record<string, string>>): unknown => Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([meta.uid, meta.generation, sorted(labels), sorted(annotations)]);
}

export const existingKey = ({kind, namespace, name}: Pick<Resource, 'kind' | 'namespace' | 'name'>): string => `${kind}/${namespace}/${name}`;

/** Every resource of the kinds that are applied, in the namespaces of the bundle. */
export async function readExisting({api}: Session, bundle: Bundle, all: readonly Kind[]): Promise<ReadonlyMap<string, Existing>> {
  const found = new Map<string, Existing>();
  const namespaces = [...new Set(bundle.resources.map(({namespace}) => namespace))];
  for (const kind of all) {
    for (const namespace of kind === 'Namespace' ? [undefined] : namespaces) {
      for (const item of await listIfThere(api, collections[kind], namespace)) {
        const existing: Existing = {kind, name: item.name, namespace: namespace ?? item.name, project: item.labels[projectLabelKey], state: stateOf(item)};
        found.set(existingKey(existing), existing);
      }
    }
  }
  return found;
}

async function listIfThere(api: Session['api'], collection: string, namespace: string | undefined) {
  try {
    return (await api.list(collection, ResourceView, namespace === undefined ? {} : {namespace})).items;
  } catch (error) {
    // A namespace that is not there yet holds nothing.
    if (isError(error) && error.status === 404 && error.code !== 'route-not-found') return [];
    throw error;
  }
}

/** Of this project and not in the bundle, those first that lead to others. Volumes hold data: they are never among these. */
export function leftovers(bundle: Bundle, existing: ReadonlyMap<string, Existing>): readonly Existing[] {
  const kept = new Set(bundle.resources.map(existingKey));
  return [...existing.values()].filter((item) => prunable.has(item.kind) && item.project === bundle.project && !kept.has(existingKey(item))).toReversed();
}
