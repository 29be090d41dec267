/** May this app be? Everything that is checked before a spec is accepted, each refusal with a field and a way out. */
import {call, type RequestOptions} from '@hivemind/bus';
import {durationMs, ingressAppClashes, isError, placementRequest, resourceKey, templateOf, unsupportedFields, type AppRecord, type FieldError} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import {dependencyCircle} from '../core/dependencies.ts';
import {portClash, portErrors, portGiven} from '../core/host-ports.ts';
import {errors} from '../errors.ts';
import type {ClusterView} from './view.ts';

/** The shortest lease of what must never run twice, ms: some heartbeats may be lost without a stop. */
const MIN_FENCING_MS = 5_000;
/** How long the first to be asked may take, ms, before the question is asked again: it may have died with it in hand, and another be there. */
const FIRST_ANSWER_MS = 1_500;

export type Candidate = Pick<AppRecord, 'namespace' | 'name' | 'spec'>;

/** @throws `not-supported`, `invalid-input`, `does-not-fit` (422), `port-conflict`, `domain-taken` (409), `unavailable` (503) when security cannot be asked */
export async function admit(context: Pick<ManagerContext, 'bus' | 'logger'>, view: ClusterView, candidate: Candidate): Promise<void> {
  const {name, spec} = candidate;
  const refused = [...unsupportedFields(spec), ...unbalanced(candidate, view)];
  if (refused[0]) throw errors['not-supported'](`${refused[0].path} ${refused[0].message}`, {errors: refused});
  const wrong = [...portErrors(spec.ports, view.arePortsShared()), ...onceErrors(spec), ...circleErrors(candidate, view)];
  if (wrong[0]) throw errors['invalid-input'](`App ${name} is not valid: ${wrong[0].path} ${wrong[0].message}`, {errors: wrong});
  const [admission, misfit] = await Promise.all([askSecurity(context, candidate), neverFits(context, view, candidate)]);
  if (admission[0]) throw errors['invalid-input'](`App ${name} is not admitted: ${admission[0].path} ${admission[0].message}`, {errors: admission});
  if (misfit[0]) throw errors['does-not-fit'](`No machine could ever run app ${name}: ${misfit.map(({message}) => message).join('; ')}`, {errors: misfit});
  const shared = view.arePortsShared();
  // A port of all machines is one app's, however many there are.
  const clash = portClash(candidate, view.apps.list().map(({value}) => value), shared ? 0 : view.nodes.list().length) ?? (shared ? portGiven(candidate, view.services.list().map(({value}) => value)) : undefined);
  const ingress = ingressClash(candidate, view, shared);
  const domain = spec.service?.domain;
  const owner = domain === undefined ? undefined : view.apps.list().find(({value}) => value.spec.service?.domain === domain && value.deletedAt === undefined && !(value.name === name && value.namespace === candidate.namespace));
  if (owner) {
    const message = `${domain} belongs to app ${owner.key}: use another name`;
    throw errors['domain-taken'](`The domain ${message}`, {errors: [{path: 'spec.service.domain', message}]});
  }
  if (clash) {
    const {port, index, other} = clash;
    const message = `${port.host}/${port.protocol} belongs to app ${other.namespace}/${other.name}: use another port, 0 for any free one, or a range`;
    throw errors['port-conflict'](`Host port ${message}`, {errors: [{path: `spec.ports[${index}].host`, message}]});
  }
  if (ingress) throw errors['port-conflict'](`Host port ${ingress.message}`, {errors: [ingress]});
}

/** A port that an ingress listens at. What the app had before it keeps: the ingress says what comes of that. */
function ingressClash({namespace, name, spec}: Candidate, view: ClusterView, shared: boolean): FieldError | undefined {
  const had = new Set(view.apps.get(resourceKey(namespace, name))?.value.spec.ports.flatMap(({host, protocol}) => (protocol === 'tcp' ? [host] : [])));
  for (const {key, value} of view.ingresses.list()) {
    const clash = ingressAppClashes(value.spec, spec, shared).find(({port}) => !had.has(port));
    if (clash) return {path: `spec.ports[${clash.index}].host`, message: `${clash.port}/tcp is listened at by ingress ${key}: use another port, 0 for any free one, or a range`};
  }
  return undefined;
}

/** How a virtual IP is balanced counts where machines lead to containers; what was asked for while there were stays, and its service says so. */
function unbalanced({namespace, name, spec: {service}}: Candidate, view: ClusterView): readonly FieldError[] {
  if (view.arePortsShared()) return [];
  const before = view.apps.get(resourceKey(namespace, name))?.value.spec.service;
  const asks = {strategy: service?.strategy !== undefined && service.strategy !== before?.strategy, affinity: service?.affinity === 'client' && before?.affinity !== 'client'};
  return Object.entries(asks).flatMap(([field, asked]) => (asked ? [{path: `spec.service.${field}`, message: 'is not acted upon while containers are on networks of the engines\' own: leave it out, or give the cluster a network (hivemind network set --backend auto)'}] : []));
}

/** What says that two must never run, and asks for two. */
function onceErrors({singleton, fencing, replicas, mode}: AppRecord['spec']): readonly FieldError[] {
  if (singleton !== true && fencing === undefined) return [];
  if (mode === 'global') return [{path: 'spec.mode', message: 'is global, one container on each machine: that is never a singleton, nor fenced'}];
  if (singleton === true && replicas > 1) return [{path: 'spec.replicas', message: `${replicas}: a singleton has one; leave singleton out, or write 1`}];
  if (singleton === false && fencing !== undefined) return [{path: 'spec.fencing', message: 'guards what must never run twice: leave it out, or leave out singleton: false'}];
  const leaseMs = durationMs(fencing?.lease ?? '30s');
  return leaseMs < MIN_FENCING_MS ? [{path: 'spec.fencing.lease', message: `${fencing?.lease}: a pause of its machine would stop it; write ${MIN_FENCING_MS / 1000}s or more`}] : [];
}

function circleErrors({namespace, name, spec}: Candidate, view: ClusterView): readonly FieldError[] {
  const circle = dependencyCircle(name, Object.keys(spec.dependsOn), (app) => Object.keys(view.apps.get(resourceKey(namespace, app))?.value.spec.dependsOn ?? {}));
  return circle === undefined ? [] : [{path: 'spec.dependsOn', message: `goes in a circle, so that none could start: ${circle.join(' → ')}`}];
}

/** Only for what changes nothing: who was asked first may have heard it. */
async function askedTwice<Answer>(ask: (options: RequestOptions) => Promise<Answer>): Promise<Answer> {
  try {
    return await ask({timeoutMs: FIRST_ANSWER_MS});
  } catch (error) {
    if (!isError(error) || error.code !== 'timeout') throw error;
    return ask({});
  }
}

async function askSecurity({bus}: Pick<ManagerContext, 'bus'>, {namespace, name, spec}: Candidate): Promise<readonly FieldError[]> {
  try {
    return (await askedTwice((options) => call(bus, subjects.admit, {}, {namespace, name, spec}, options))).errors;
  } catch (cause) {
    throw errors.unavailable('The security manager cannot be asked whether this is allowed. Nothing was changed.', {cause, retryAfterMs: 1000});
  }
}

/**
 * What each machine says, where none could run it even if nothing else ran. Without machines, or when the scheduler cannot
 * be asked, nothing is known to be impossible: the app waits, and says why.
 */
async function neverFits({bus, logger}: Pick<ManagerContext, 'bus' | 'logger'>, view: ClusterView, {namespace, name, spec}: Candidate): Promise<readonly FieldError[]> {
  const request = placementRequest({id: name, namespace, app: name, template: templateOf(spec), perNode: spec.mode === 'global', volumeNode: (volume) => view.volumeNode(namespace, volume)});
  if (request.memory === 0 && request.cpu === 0) return [];
  try {
    const {refusals} = await askedTwice((options) => call(bus, subjects.place, {}, {requests: [request], onEmpty: true}, options));
    const nodes = refusals[0]?.nodes ?? [];
    if (!nodes.some(({filter}) => filter === 'memory' || filter === 'cpu')) return [];
    return nodes.map(({node, reason, filter}) => ({path: filter === 'cpu' ? 'spec.resources.cpu' : filter === 'memory' ? 'spec.resources.memory' : 'spec.placement', message: `${node}: ${reason}`}));
  } catch (err) {
    if (!isError(err)) throw err;
    logger.warn({err, app: `${namespace}/${name}`}, 'the scheduler could not be asked whether the app fits');
    return [];
  }
}
