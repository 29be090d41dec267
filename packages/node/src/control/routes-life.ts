/** Emptying, removing and giving up machines, and how soon one is missed. */
import {call} from '@hivemind/bus';
import {BRAKE_KEY, Duration, durationMs, fencingOf, isError, mergePatch, NodeSettings, parseInput, placementRequest, resourceKey, SETTINGS_KEY} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {type HttpServer, ifMatch, type ManagerContext, withETag} from '@hivemind/service';
import {commit, type Compare, type Write} from '@hivemind/store';
import * as z from 'zod';
import {nodeErrors} from '../errors.ts';
import type {Join} from './join.ts';
import type {Machines} from './machines.ts';
import {Params} from './routes.ts';
import {settingsOf} from './settings.ts';
import {nodeBrake, nodeLeases, nodes, nodeSettings, nodeStatus, nodeVerdicts, type Tables} from './tables.ts';

const tags = ['node'];
const DrainBody = z.strictObject({
  /** Whatever is left after so long is stopped, ready elsewhere or not; without end when absent. */
  deadline: Duration.optional(),
  stopLocal: z.boolean().default(false),
});
const MaintenanceBody = z.strictObject({enabled: z.boolean().default(true), deadline: Duration.optional()});
const FenceBody = z.strictObject({confirmDead: z.literal(true, 'must be true: the machine is off, or cannot reach anything, and you have seen to it')});
const Brake = z.object({engaged: z.boolean(), nodes: z.array(z.string()), message: z.string(), since: z.string().nullable()});
const Removal = z.object({kind: z.literal('Removal'), name: z.string(), status: z.literal('gone'), volumes: z.array(z.string())});
/** Containers that one look at a drain asks places for. */
const MOST_ASKED = 50;

export interface LifeRoutes {
  readonly app: HttpServer;
  readonly context: ManagerContext;
  readonly join: Join;
  readonly machines: Machines;
  readonly tables: Tables;
}

export function lifeRoutes(routes: LifeRoutes): void {
  drainRoutes(routes);
  endRoutes(routes);
  settingsRoutes(routes);
}

function drainRoutes({app, context, machines, tables}: LifeRoutes): void {
  app.post('/nodes/:name/drain', {schema: {tags, summary: 'Move what runs there elsewhere: each container stops when another is ready. Called off by uncordon', params: Params, body: DrainBody.prefault({})}}, async (request, reply) => {
    const {name} = request.params;
    const {deadline, stopLocal} = request.body;
    const answer = await machines.change(name, ifMatch(request), (node) => {
      const {drain} = node.spec;
      const deadlineAt = deadline === undefined ? undefined : new Date(context.now() + durationMs(deadline)).toISOString();
      return {...node, spec: {...node.spec, unschedulable: true, drain: {since: drain?.since ?? machines.now(), stopLocal, ...(deadlineAt === undefined ? {} : {deadlineAt})}}};
    });
    machines.event(name, 'Draining', `it is being emptied${deadline === undefined ? '' : `, within ${deadline}`}${stopLocal ? ', users of local volumes included' : ''}`);
    return withETag(reply, answer);
  });

  app.get('/nodes/:name/drain', {schema: {tags, summary: 'What a drain waits for, and why it has no other place', params: Params}}, async ({params}) => {
    const {status} = machines.present(machines.find(params.name));
    if (status.drain === undefined) throw nodeErrors['not-draining'](`Node ${params.name} is not being drained: POST /nodes/${params.name}/drain begins that.`);
    const waiting = status.drain.blocked.filter(({reason}) => reason === 'WaitsForReplacement').slice(0, MOST_ASKED);
    const reasons = await placesFor(context, tables, waiting.map(({container}) => container));
    return {...status.drain, blocked: status.drain.blocked.map((each) => ({...each, ...(reasons.has(each.container) ? {message: `${each.message}; ${reasons.get(each.container)}`} : {})}))};
  });

  app.post('/nodes/:name/maintenance', {schema: {tags, summary: 'Empty it of everything, users of local volumes and global apps included', params: Params, body: MaintenanceBody.prefault({})}}, async (request, reply) => {
    const {name} = request.params;
    const {enabled, deadline} = request.body;
    const answer = await machines.change(name, ifMatch(request), (node) => {
      const {drain, maintenance: _, ...spec} = node.spec;
      if (!enabled) return {...node, spec: {...spec, unschedulable: false}};
      const deadlineAt = deadline === undefined ? drain?.deadlineAt : new Date(context.now() + durationMs(deadline)).toISOString();
      return {...node, spec: {...spec, unschedulable: true, maintenance: true, drain: {since: drain?.since ?? machines.now(), stopLocal: true, ...(deadlineAt === undefined ? {} : {deadlineAt})}}};
    });
    machines.event(name, 'Maintenance', enabled ? 'it is being emptied of everything' : 'it takes containers again');
    return withETag(reply, answer);
  });
}

/** Why each container has no place elsewhere now, in words; nothing of those that have one. */
async function placesFor({bus, logger}: ManagerContext, tables: Tables, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const requests = ids.flatMap((id) => {
    const record = tables.containers.get(id)?.value;
    return record === undefined ? [] : [placementRequest({...record, volumeNode: (volume) => tables.volumes.get(resourceKey(record.namespace, volume))?.value.node})];
  });
  if (requests.length === 0) return new Map();
  try {
    const {refusals} = await call(bus, subjects.place, {}, {requests});
    return new Map(refusals.map(({id, nodes: refused}) => [id, `no machine takes it now: ${refused.map(({node, reason}) => `${node} ${reason}`).join('; ')}`]));
  } catch (err) {
    if (!isError(err)) throw err;
    logger.warn({err}, 'the scheduler could not be asked where what is drained could go');
    return new Map();
  }
}

function endRoutes({app, context: {store}, join, machines, tables}: LifeRoutes): void {
  const fenced = (name: string): readonly string[] => machines.contents(name).filter(({record, status}) => fencingOf(record.template) !== undefined && status?.phase !== 'removed').map(({record}) => record.id);

  app.delete('/nodes/:name', {schema: {tags, summary: 'Forget a machine; what it ran is put elsewhere', params: Params, querystring: z.strictObject({force: z.stringbool().optional()}), response: {200: Removal}}}, async (request) => {
    const {name} = request.params;
    const force = request.query.force === true;
    const [node, lease, status, verdict] = await Promise.all([nodes.in(store).get(name), nodeLeases.in(store).get(name), nodeStatus.in(store).get(name), nodeVerdicts.in(store).get(name)]);
    if (!node) throw nodeErrors['node-not-found'](`There is no node ${name}: GET /nodes lists what there is.`);
    const left = machines.contents(name).filter(({status: reported}) => reported?.phase !== 'removed').map(({record}) => record.id);
    if (lease && left.length > 0 && !force) throw nodeErrors['node-in-use'](`Node ${name} is heard, and has ${left.length} containers (${left.slice(0, 5).join(', ')}${left.length > 5 ? ', …' : ''}): drain it first (hivemind node drain ${name} --wait), or force it.`);
    const guarded = lease ? fenced(name) : [];
    if (guarded[0] !== undefined) throw nodeErrors['node-in-use'](`Node ${name} is heard, and runs what must never run twice (${guarded.join(', ')}): drain it first; that cannot be forced.`);
    const compare: Compare[] = [nodes.unchanged(node), lease ? nodeLeases.unchanged(lease) : nodeLeases.absent(name)];
    const writes: Write[] = [nodes.deleting(name), ...(status ? [nodeStatus.deleting(name)] : []), ...(verdict ? [nodeVerdicts.deleting(name)] : []), ...(lease ? [nodeLeases.deleting(name)] : [])];
    const credentials = await join.revocation(name);
    await commit(store, {compare: [...compare, ...credentials.compare], writes: [...writes, ...credentials.writes]});
    if (lease) await store.revokeLease(lease.value.lease).catch(() => undefined);
    const volumes = tables.volumes.byIndex('node', name).map(({key}) => key).toSorted();
    machines.event(name, 'Removed', `it was removed from the cluster${volumes.length === 0 ? '' : `; the data of ${volumes.join(', ')} is on it: hivemind volume abandon gives that up`}`, volumes.length === 0 ? 'normal' : 'warning');
    return {kind: 'Removal' as const, name, status: 'gone' as const, volumes};
  });

  app.post('/nodes/:name/fence', {schema: {tags, summary: 'Vouch that a machine is off: what must never run twice is then put elsewhere', params: Params, body: FenceBody}}, async ({params: {name}}) => {
    const node = machines.find(name);
    const [lease, status, before] = await Promise.all([nodeLeases.in(store).get(name), nodeStatus.in(store).get(name), nodeVerdicts.in(store).get(name)]);
    if (lease) throw nodeErrors['node-heard'](`Node ${name} is heard: a machine that is off is not. Switch it off first; it is missed within seconds.`);
    const verdict = {...(before?.value ?? {degraded: false}), name, state: 'dead' as const, degraded: false, reason: 'ConfirmedDead', message: 'a person has confirmed that it is off', since: before?.value.state === 'dead' ? before.value.since : machines.now(), confirmedDead: status?.value.session ?? 0};
    await commit(store, {compare: [nodeLeases.absent(name), before ? nodeVerdicts.unchanged(before) : nodeVerdicts.absent(name)], writes: [nodeVerdicts.putting(name, verdict, {previous: before})]});
    machines.event(name, 'Fenced', 'a person has confirmed that it is off: what must never run twice is put elsewhere', 'warning');
    await tables.verdicts.waitForRevision((await store.revision()).n);
    return machines.present(node);
  });
}

function settingsRoutes({app, context: {store, now}, machines, tables}: LifeRoutes): void {
  app.get('/nodes/settings', {schema: {tags, summary: 'How soon a machine is missed', response: {200: NodeSettings}}}, async () => settingsOf(tables));

  app.patch('/nodes/settings', {schema: {tags, summary: 'Change that, by JSON merge patch; null puts a default back', body: z.unknown(), response: {200: NodeSettings}}}, async ({body}) => {
    const before = await nodeSettings.in(store).get(SETTINGS_KEY);
    const settings = parseInput(NodeSettings, mergePatch(before?.value ?? {}, body), 'The settings, as patched');
    if (durationMs(settings.lease) < MIN_LEASE_MS) throw nodeErrors['settings-unsafe'](`A lease of ${settings.lease} is too short: a pause of an agent would cost it its session. Use ${MIN_LEASE_MS} ms or more.`);
    const written = await nodeSettings.in(store).put(SETTINGS_KEY, settings, {expect: before ?? 0});
    await tables.settings.waitForRevision(written.version);
    return settings;
  });

  const brake = (): z.infer<typeof Brake> => {
    const {engaged = false, nodes: gone = [], message = '', since = null} = tables.brake.get(BRAKE_KEY)?.value ?? {};
    return {engaged, nodes: gone, message, since};
  };
  app.get('/nodes/brake', {schema: {tags, summary: 'Whether replacement is paused, and why', response: {200: Brake}}}, async () => brake());

  app.delete('/nodes/brake', {schema: {tags, summary: 'Put what dead machines ran elsewhere, though many went at once', response: {200: Brake}}}, async () => {
    const before = await nodeBrake.in(store).get(BRAKE_KEY);
    if (before?.value.engaged !== true) throw nodeErrors['brake-not-engaged']('Replacement is not paused.');
    const message = 'a person said so';
    const written = await nodeBrake.in(store).put(BRAKE_KEY, {...before.value, engaged: false, released: true, message, since: new Date(now()).toISOString()}, {expect: before});
    await tables.brake.waitForRevision(written.version);
    for (const name of before.value.nodes) machines.event(name, 'ReplacementResumed', message);
    return brake();
  });
}

/** Shorter, and a garbage collection is a failure. */
const MIN_LEASE_MS = 500;
