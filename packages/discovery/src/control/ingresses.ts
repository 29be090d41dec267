/** Ingresses, as people read, write and try them. */
import {call} from '@hivemind/bus';
import {checkCertificate, type FieldError, type Ingress, ingressAppClashes, type IngressBody, type IngressMachines, type IngressPlan, ingressPorts, type IngressRecord, type IngressSpec, isError, reportIngress, resourceKey} from '@hivemind/contracts';
import {checkMatch, type ManagerContext, recordEvent} from '@hivemind/service';
import type {Compare, Stored} from '@hivemind/store';
import type * as z from 'zod';
import {conflictsOf, repeated} from '../core/ingress/claims.ts';
import {type IngressContext, presentIngress, takersOf} from '../core/ingress/present.ts';
import {rotation} from '../core/registry.ts';
import {discoveryErrors} from '../errors.ts';
import type {IngressViews} from './ingress-views.ts';
import {areMachinesPublishing, hostPorts, ingresses, type Tables} from './tables.ts';

type Body = z.output<typeof IngressBody>;
type Context = Pick<ManagerContext, 'store' | 'bus' | 'now' | 'uid' | 'logger'>;

export class Ingresses {
  readonly #context: Context;
  readonly #tables: () => Tables;
  readonly #views: () => IngressViews;

  constructor(context: Context, tables: () => Tables, views: () => IngressViews) {
    this.#context = context;
    this.#tables = tables;
    this.#views = views;
  }

  list(): readonly Ingress[] {
    return this.#tables().ingresses.list().map((stored) => this.present(stored));
  }

  find(namespace: string, name: string): Promise<Stored<IngressRecord> | undefined> {
    return ingresses.in(this.#context.store).get(resourceKey(namespace, name));
  }

  /** @throws `ingress-not-found` 404 */
  async read(namespace: string, name: string): Promise<Stored<IngressRecord>> {
    const stored = await this.find(namespace, name);
    if (!stored) throw discoveryErrors['ingress-not-found'](`There is no ingress ${name} in namespace ${namespace}: GET /ingresses lists what there is.`);
    return stored;
  }

  /** What a write would do. @throws as `write` */
  async plan(namespace: string, body: Body, before: Stored<IngressRecord> | undefined): Promise<IngressPlan> {
    await this.#check(namespace, body, before);
    const next = this.#recordOf(namespace, body, before);
    const same = before !== undefined && JSON.stringify([before.value.spec, before.value.labels, before.value.annotations]) === JSON.stringify([next.spec, next.labels, next.annotations]);
    const {status} = presentIngress({value: next, version: 0}, this.#contextOf(next));
    const touched = new Set([...takersOf(next, this.#nodes()), ...(before ? takersOf(before.value, this.#nodes()) : [])]);
    return {kind: 'Plan', action: before === undefined ? 'create' : same ? 'none' : 'update', name: body.name, namespace, nodes: same ? [] : [...touched].toSorted(), conditions: status.conditions};
  }

  planRemoval({value}: Stored<IngressRecord>): IngressPlan {
    return {kind: 'Plan', action: 'delete', name: value.name, namespace: value.namespace, nodes: [...takersOf(value, this.#nodes())], conditions: []};
  }

  /** @throws `ingress-unusable`, `certificate-unusable` 422, `ingress-conflict` 409 */
  async write(namespace: string, body: Body, before: Stored<IngressRecord> | undefined): Promise<Stored<IngressRecord>> {
    const next = this.#recordOf(namespace, body, before);
    const attempt = async (): Promise<Stored<IngressRecord>> => {
      const compare = await this.#check(namespace, body, before);
      return ingresses.in(this.#context.store).put(resourceKey(namespace, body.name), next, {expect: before ?? 0, compare});
    };
    // Where it was an app that asked for a port meanwhile, the second look says so.
    const stored = await attempt().catch((error: unknown) => (isError(error, 'version-mismatch') || isError(error, 'already-exists') ? attempt() : Promise.reject(error)));
    await this.#tables().ingresses.waitForRevision(stored.version);
    if (before?.value.meta.generation !== next.meta.generation) this.#record(namespace, body.name, before ? 'Changed' : 'Created', `ingress ${body.name} ${before ? 'is another' : 'is in force'}`);
    return stored;
  }

  async remove({key, version, value: {namespace, name}}: Stored<IngressRecord>, expected: number | undefined): Promise<void> {
    checkMatch(expected, version, `Ingress ${name}`);
    await ingresses.in(this.#context.store).delete(key, {expect: version});
    this.#record(namespace, name, 'Deleted', `ingress ${name} takes no requests any more`);
  }

  present(stored: Stored<IngressRecord>): Ingress {
    return presentIngress(stored, this.#contextOf(stored.value));
  }

  /** Asks each machine that is to take it. */
  async machines(stored: Stored<IngressRecord>): Promise<IngressMachines> {
    const {version} = this.#views();
    const items = takersOf(stored.value, this.#nodes()).map(async (node) => {
      const report = await call(this.#context.bus, reportIngress, {node}, {}).catch(() => undefined);
      if (report === undefined) return {node, state: 'silent' as const, version: '', running: false, problem: 'the machine does not answer'};
      return {node, state: report.version === version && report.problem === '' ? ('current' as const) : ('behind' as const), ...report};
    });
    return {items: await Promise.all(items)};
  }

  /** Answers what has to be as it was found when it is written. */
  async #check(namespace: string, {name, spec}: Body, before: Stored<IngressRecord> | undefined): Promise<readonly Compare[]> {
    refuse('ingress-unusable', repeated(spec));
    const {items: others} = await ingresses.in(this.#context.store).list();
    const conflicts = conflictsOf({namespace, name, spec}, others.map(({value}) => value));
    refuse('ingress-conflict', conflicts.map(({path, what, owner}) => ({path, message: `claims ${what}, as ingress ${owner.namespace}/${owner.name} does${path.startsWith('spec.listen') ? ' for HTTP or HTTPS, whichever this one does not' : ''}`})));
    const compare = await this.#portsNow(spec);
    // What it has listened at so far it may go on with: its status says what comes of that.
    const had = new Set(before ? ingressPorts(before.value.spec).map(({port}) => port) : []);
    refuse('ingress-conflict', this.#publishers(spec).filter(({port}) => !had.has(port)).map(({field, port, app}) => ({path: `spec.listen.${field}`, message: `${port}: is published by app ${app}: listen at another port, or give the app another`})));
    const problems: FieldError[] = [];
    for (const [index, tls] of spec.tls.entries()) {
      if (!('secret' in tls)) continue;
      const {problem} = await call(this.#context.bus, checkCertificate, {}, {namespace, secret: tls.secret});
      if (problem !== '') problems.push({path: `spec.tls[${index}].secret`, message: `${tls.secret}: ${problem}`});
    }
    refuse('certificate-unusable', problems);
    return compare;
  }

  /** Read before anybody looks who publishes them: an app that is given one from here on moves it. */
  async #portsNow(spec: IngressSpec): Promise<readonly Compare[]> {
    const keys = ingressPorts(spec).map(({port}) => `tcp/${port}`);
    const found = await this.#context.store.getMany(keys.map((key) => ({collection: hostPorts.name, key})));
    const stored = found.map((record) => record && hostPorts.decode(record));
    await this.#tables().apps.waitForRevision(Math.max(0, ...stored.map((record) => record?.version ?? 0)));
    return keys.map((key, index) => {
      const record = stored[index];
      return record ? hostPorts.unchanged(record) : hostPorts.absent(key);
    });
  }

  /** Apps that publish a port which it listens at, by its number or since it was given to them. */
  #publishers(spec: IngressSpec): readonly {readonly field: 'http' | 'https'; readonly port: number; readonly app: string}[] {
    const tables = this.#tables();
    const shared = areMachinesPublishing(tables);
    return ingressPorts(spec).flatMap(({field, port}) => {
      const asked = tables.apps.byIndex('hostPort', `tcp/${port}`).find(({value}) => value.deletedAt === undefined && ingressAppClashes(spec, value.spec, shared).some((clash) => clash.port === port));
      const app = asked ?? tables.services.byIndex('published', `tcp/${port}`)[0];
      return app === undefined ? [] : [{field, port, app: app.key}];
    });
  }

  #recordOf(namespace: string, {name, labels, annotations, spec}: Body, before: Stored<IngressRecord> | undefined): IngressRecord {
    const at = new Date(this.#context.now()).toISOString();
    const moved = JSON.stringify(before?.value.spec) !== JSON.stringify(spec);
    const meta = before ? {...before.value.meta, generation: before.value.meta.generation + (moved ? 1 : 0), updatedAt: at} : {uid: this.#context.uid(), generation: 1, createdAt: at, updatedAt: at};
    return {name, namespace, labels, annotations, spec, meta};
  }

  #contextOf({namespace, name, spec}: IngressRecord): IngressContext {
    const tables = this.#tables();
    return {
      nodes: this.#nodes(),
      service: (key) => {
        const service = tables.services.get(key)?.value;
        if (service === undefined) return undefined;
        const endpoints = new Map(tables.endpoints.byIndex('service', key).map(({key: id, value}) => [id, value]));
        return {ports: service.ports, ready: rotation({facts: service, endpoints}).length};
      },
      lost: this.#views().settled.find(({ingress}) => ingress.namespace === namespace && ingress.name === name)?.lost ?? [],
      published: this.#publishers(spec),
    };
  }

  #nodes(): IngressContext['nodes'] {
    return this.#tables().nodes.list().map(({key, value}) => ({name: key, labels: value.labels}));
  }

  #record(namespace: string, name: string, reason: string, message: string): void {
    recordEvent(this.#context, {namespace, kind: 'Ingress', name, type: 'normal', reason, message});
  }
}

function refuse(code: 'ingress-unusable' | 'ingress-conflict' | 'certificate-unusable', errors: readonly FieldError[]): void {
  const [first] = errors;
  if (first !== undefined) throw discoveryErrors[code](`${first.path} ${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`, {errors: [...errors]});
}
