/**
 * What nodes are told: their assignment, the bodies of its containers, and the configs those use. A node is answered about
 * itself alone, and under its current session alone (law 7). All is read from the store, not from the view: whoever was
 * woken by a commit must find it.
 */
import {serve, type Subscription} from '@hivemind/bus';
import {resourceKey, type ConfigRecord, type ContainerRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import type {CollectionDefinition, Store, Stored} from '@hivemind/store';
import {errors} from '../errors.ts';
import {adoption, assignments, configs, containers, nodeLeases} from './collections.ts';

/** Bytes of bodies sent along with an assignment; a message takes 512 KiB. */
const INLINE_BYTES = 256 * 1024;
export const ADOPTION_KEY = 'adoption';

export async function serveAssignments(context: ManagerContext): Promise<readonly Subscription[]> {
  const {bus, store, cluster} = context;
  const queue = {queue: 'app'};
  return Promise.all([
    serve(bus, subjects.getAssignment, {}, async ({session, known = []}, {tokens: {node}}) => {
      await checkSession(store, node, session);
      // Read first: what is read after it is at least as new (law 12).
      const revision = await store.revision();
      // In one step: a hold that has ended must never be seen with the list from before what ended it.
      const [stored, held] = await store.getMany([{collection: assignments.name, key: node}, {collection: adoption.name, key: ADOPTION_KEY}]);
      const assignment = stored && assignments.decode(stored);
      const listed = assignment?.value.containers ?? [];
      const has = new Set(known);
      const news = listed.filter(({id, generation}) => !has.has(`${id}@${generation}`));
      return {cluster, revision, version: assignment?.version ?? 0, containers: listed, bodies: await firstBodies(store, news), hold: held !== undefined && adoption.decode(held).value.held};
    }, queue),
    serve(bus, subjects.getContainers, {}, async ({ids}, {tokens: {node}}) => {
      const found = await many(store, containers, ids);
      return {containers: found.map(({value}) => value).filter((record) => record.node === node)};
    }, queue),
    serve(bus, subjects.getConfigs, {}, async ({configs: asked}, {tokens: {node}}) => configsFor(store, node, asked), queue),
  ]);
}

/** @throws `session-expired` 409 */
export async function checkSession(store: Store, node: string, session: number): Promise<void> {
  const lease = await nodeLeases.in(store).get(node);
  if (lease?.value.session !== session) throw errors['session-expired'](`Session ${session} of node ${node} is over: register again.`);
}

async function firstBodies(store: Store, listed: readonly {readonly id: string}[]): Promise<ContainerRecord[]> {
  const bodies: ContainerRecord[] = [];
  let bytes = 0;
  for (let next = 0; next < listed.length && bytes < INLINE_BYTES; next += PAGE) {
    for (const {value, raw} of await many(store, containers, listed.slice(next, next + PAGE).map(({id}) => id))) {
      bytes += raw.length;
      if (bytes > INLINE_BYTES && bodies.length > 0) return bodies;
      bodies.push(value);
    }
  }
  return bodies;
}

const PAGE = 50;

async function many<T extends object>(store: Store, definition: CollectionDefinition<T>, keys: readonly string[]): Promise<readonly Stored<T>[]> {
  const records = await store.getMany(keys.map((key) => ({collection: definition.name, key})));
  return records.flatMap((record) => (record === undefined ? [] : [definition.decode(record)]));
}

/** Only configs that a container of this very node uses: a node sees no others. */
async function configsFor(store: Store, node: string, asked: readonly {readonly namespace: string; readonly name: string}[]) {
  const assignment = await assignments.in(store).get(node);
  const held = await many(store, containers, assignment?.value.containers.map(({id}) => id) ?? []);
  const used = new Set(held.flatMap(({value}) => configsOf(value)));
  const allowed = asked.filter(({namespace, name}) => used.has(resourceKey(namespace, name)));
  const found = await many(store, configs, allowed.map(({namespace, name}) => resourceKey(namespace, name)));
  const known = new Set(found.map(({key}) => key));
  return {
    configs: found.map(({value}) => ({namespace: value.namespace, name: value.name, data: encoded(value)})),
    missing: asked.filter(({namespace, name}) => !known.has(resourceKey(namespace, name))).map(({namespace, name}) => ({namespace, name})),
  };
}

/** Keys of the configs that a container's files and environment come from. */
export function configsOf({namespace, template}: Pick<ContainerRecord, 'namespace' | 'template'>): readonly string[] {
  const names = [
    ...template.files.map(({config}) => config),
    ...Object.values(template.env).map((value) => (typeof value === 'object' && 'config' in value ? value.config : undefined)),
  ];
  return names.flatMap((name) => (name === undefined ? [] : [resourceKey(namespace, name)]));
}

function encoded({spec}: ConfigRecord): Record<string, string> {
  return spec.encoding === 'base64' ? spec.data : Object.fromEntries(Object.entries(spec.data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}
