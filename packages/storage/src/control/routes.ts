/** /volumes: data that outlives the apps that use it. */
import {call} from '@hivemind/bus';
import {commonErrors, isError, mergePatch, parseInput, resourceKey, Volume, VolumeBody, type VolumeRecord, VolumeUsage} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {checkMatch, created, type HttpServer, ifMatch, listQuery, listReply, type ManagerContext, manifest, namespaceOf, NamespaceQuery, recordEvent, sameName, withETag, withSpec} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import * as z from 'zod';
import {type Home, presentVolume, usersOf} from '../core/users.ts';
import {storageErrors} from '../errors.ts';
import {type Tables, volumes} from './tables.ts';

const tags = ['storage'];
const Params = z.object({name: z.string()});
const Deletion = z.object({kind: z.literal('Deletion'), name: z.string(), namespace: z.string(), status: z.literal('gone')});
const Driver = z.object({name: z.string(), description: z.string()});

export function volumeRoutes(app: HttpServer, context: ManagerContext, tables: Tables): void {
  const {bus, store} = context;
  const usedBy = (key: string): readonly string[] => usersOf(tables.apps.byIndex('volume', key).map(({value}) => value), tables.containers.byIndex('volume', key).map(({value}) => value));
  const present = ({key, value, version}: Stored<VolumeRecord>): z.infer<typeof Volume> => presentVolume(value, version, usedBy(key), homeOf(value));
  const homeOf = ({node}: VolumeRecord): Home => {
    if (node === undefined) return 'there';
    const state = tables.verdicts.get(node)?.value.state ?? 'ready';
    if (!tables.nodes.get(node)) return 'removed';
    return state === 'ready' ? 'there' : state === 'dead' ? 'dead' : 'away';
  };
  const location = ({name, namespace}: VolumeRecord): string => `/api/v1/volumes/${name}?namespace=${namespace}`;
  const read = async (namespace: string, name: string): Promise<Stored<VolumeRecord>> => {
    const stored = await volumes.in(store).get(resourceKey(namespace, name));
    if (!stored) throw storageErrors['volume-not-found'](`There is no volume ${name} in namespace ${namespace}: GET /volumes lists what there is.`);
    return stored;
  };

  const put = async (namespace: string, body: z.output<typeof VolumeBody>, before: Stored<VolumeRecord> | undefined): Promise<Stored<VolumeRecord>> => {
    const {name, labels, annotations, spec} = body;
    if (spec.size !== undefined) throw commonErrors['not-supported']('The size of a local volume is not acted upon yet.', {errors: [{path: 'spec.size', message: 'is not acted upon yet; leave it out'}]});
    const at = new Date(context.now()).toISOString();
    const meta = before ? {...before.value.meta, updatedAt: at} : {uid: context.uid(), generation: 1, createdAt: at, updatedAt: at};
    const node = before?.value.node;
    const stored = await volumes.in(store).put(resourceKey(namespace, name), {name, namespace, labels, annotations, spec, ...(node === undefined ? {} : {node}), meta}, {expect: before ?? 0});
    await tables.volumes.waitForRevision(stored.version);
    return stored;
  };

  app.get('/volumes', {schema: {tags, summary: 'Volumes, their machine and their users', querystring: listQuery({item: Volume, filters: ['node', 'phase']})}}, async ({query}) =>
    listReply(tables.volumes.list().map(present), query, tables.volumes.revision));

  app.get('/volumes/:name', {schema: {tags, summary: 'One volume', params: Params, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, present(await read(namespaceOf(query), params.name))));

  app.post('/volumes', {schema: {tags, summary: 'Create a volume; its data comes into being when it is first used', querystring: NamespaceQuery, body: manifest(VolumeBody)}}, async (request, reply) => {
    const {body} = request;
    const namespace = namespaceOf(request.query, body);
    if (tables.volumes.get(resourceKey(namespace, body.name))) throw storageErrors['volume-exists'](`Volume ${body.name} exists already in namespace ${namespace}.`);
    const stored = await put(namespace, body, undefined);
    return created(reply, location(stored.value), present(stored));
  });

  app.put('/volumes/:name', {schema: {tags, summary: 'Create or replace a volume; its data stays', params: Params, querystring: NamespaceQuery, body: manifest(VolumeBody)}}, async (request, reply) => {
    const {body} = request;
    const {name} = request.params;
    sameName(name, body);
    const namespace = namespaceOf(request.query, body);
    const before = await volumes.in(store).get(resourceKey(namespace, name));
    checkMatch(ifMatch(request), before?.version ?? 0, `Volume ${name}`);
    const stored = await put(namespace, body, before);
    return before ? withETag(reply, present(stored)) : created(reply, location(stored.value), present(stored));
  });

  app.patch('/volumes/:name', {schema: {tags, summary: 'Change a volume by JSON merge patch', params: Params, querystring: NamespaceQuery, body: z.unknown()}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const before = await read(namespace, request.params.name);
    checkMatch(ifMatch(request), before.version, `Volume ${request.params.name}`);
    const {name, labels, annotations, spec} = before.value;
    const body = parseInput(VolumeBody, mergePatch({name, namespace, labels, annotations, spec}, withSpec(request.body ?? {})), 'The volume, as patched');
    sameName(name, body);
    namespaceOf({namespace}, body);
    return withETag(reply, present(await put(namespace, body, before)));
  });

  app.delete('/volumes/:name', {schema: {tags, summary: 'Delete a volume that nobody uses, and its data', params: Params, querystring: NamespaceQuery, response: {200: Deletion}}}, async (request) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const before = await read(namespace, name);
    checkMatch(ifMatch(request), before.version, `Volume ${name}`);
    const users = usedBy(before.key);
    if (users.length > 0) throw storageErrors['volume-in-use'](`Volume ${name} is used by ${users.join(', ')}: delete ${users.length === 1 ? 'that app' : 'those apps'} first.`);
    const {node} = before.value;
    if (node !== undefined) await removeData(node, namespace, name);
    await volumes.in(store).delete(before.key, {expect: before.version});
    recordEvent(context, {namespace, kind: 'Volume', name, type: 'normal', reason: 'Deleted', message: `volume ${name} and its data were deleted`, ...(node === undefined ? {} : {node})});
    return {kind: 'Deletion' as const, name, namespace, status: 'gone' as const};
  });

  app.post('/volumes/:name/abandon', {schema: {tags, summary: 'Give up data on a machine that is dead or gone: its users begin anew, elsewhere and empty', params: Params, querystring: NamespaceQuery}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const before = await read(namespace, name);
    checkMatch(ifMatch(request), before.version, `Volume ${name}`);
    const {node, ...rest} = before.value;
    if (node === undefined) return withETag(reply, present(before));
    const home = homeOf(before.value);
    if (home === 'there' || home === 'away') throw storageErrors['volume-not-lost'](`The data of volume ${name} is on node ${node}, which is ${home === 'there' ? 'ready' : 'not heard but not dead either'}: only data on a dead or removed machine can be given up. hivemind node fence ${node} --confirm-dead says that it is off.`);
    const stored = await volumes.in(store).put(before.key, {...rest, meta: {...rest.meta, updatedAt: new Date(context.now()).toISOString()}}, {expect: before});
    await tables.volumes.waitForRevision(stored.version);
    recordEvent(context, {namespace, kind: 'Volume', name, type: 'warning', reason: 'Abandoned', message: `the data of volume ${name} on node ${node} was given up: its users begin anew, elsewhere and empty`, node});
    return withETag(reply, present(stored));
  });

  app.get('/volumes/:name/usage', {schema: {tags, summary: 'Bytes that its data takes, and where they are', params: Params, querystring: NamespaceQuery, response: {200: VolumeUsage}}}, async ({params, query}) => {
    const {value} = await read(namespaceOf(query), params.name);
    const {name, namespace, node} = value;
    const none = {namespace, name, bytes: 0, path: ''};
    if (node === undefined) return none;
    const reply = await call(bus, subjects.volumeUsage, {node}, {volumes: [{namespace, name}]}).catch((error: unknown) => {
      throw unavailable(error, node);
    });
    return reply.volumes[0] ?? none;
  });

  app.get('/volume-drivers', {schema: {tags, summary: 'Drivers that volumes can have', response: {200: z.object({items: z.array(Driver)})}}}, async () => ({
    items: [{name: 'local', description: 'a directory of the machine that first used it, kept by its container engine'}],
  }));

  async function removeData(node: string, namespace: string, name: string): Promise<void> {
    try {
      await call(bus, subjects.removeVolume, {node}, {namespace, name});
    } catch (error) {
      if (isError(error, 'runtime-conflict')) throw storageErrors['volume-in-use'](`Volume ${name} is still used on node ${node}: ${error.message}`, {cause: error});
      throw unavailable(error, node);
    }
  }
}

function unavailable(error: unknown, node: string): unknown {
  const away = isError(error, 'no-responders') || isError(error, 'timeout') || isError(error, 'disconnected');
  return away ? storageErrors['volume-node-unavailable'](`The node ${node}, which has the data, does not answer: try again when it is back.`, {cause: error}) : error;
}
