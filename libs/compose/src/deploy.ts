/** `deploy` and the older keys beside it: replicas, resources, updates, restarts, placement. */
import type {AppSpecInput} from '@hivemind/contracts';
import {composeBytes, composeDuration, durationText, memoryText} from './quantity.ts';
import type {Deploy, Service} from './schema.ts';
import type {Scope} from './scope.ts';

type Resources = NonNullable<AppSpecInput['resources']>;
type Restart = NonNullable<AppSpecInput['restart']>;
type Update = NonNullable<AppSpecInput['update']>;
type Placement = NonNullable<AppSpecInput['placement']>;
type ConstraintInput = NonNullable<Placement['constraints']>[number];

export function readReplicas(service: Service, scope: Scope): number | undefined {
  const replicas = service.deploy?.replicas;
  const {scale} = service;
  if (service.deploy?.mode === 'global' && (replicas ?? scale ?? undefined) !== undefined) scope.at('deploy', 'mode').error('is global, one container a machine, so that there is no number of replicas: take out replicas and scale, or the mode');
  if (typeof scale === 'number' && replicas !== undefined && scale !== replicas) scope.at('scale').error(`is ${scale}, but deploy.replicas is ${replicas}: keep one of them`);
  return replicas ?? scale ?? undefined;
}

/** `job` runs to its end; everything else is kept running, `global` once a machine. */
export function readMode(deploy: Deploy | null | undefined, scope: Scope): 'job' | 'global' | undefined {
  const mode = deploy?.mode;
  if (mode === 'global-job') scope.at('deploy', 'mode').unsupported('a job runs as often as replicas says, wherever there is room, not once a machine');
  if (mode === 'global') return 'global';
  return mode === 'replicated-job' || mode === 'global-job' ? 'job' : undefined;
}

/** Undefined: nothing is asked for, as by 0, which is no limit to the engine. */
export function readSize(written: string | number | null | undefined, scope: Scope): string | number | undefined {
  if (written === undefined || written === null) return undefined;
  const bytes = composeBytes(written);
  if (bytes === undefined) scope.error(`${JSON.stringify(written)} is not a size: write a number with b, k, m or g, as in 64m`);
  return bytes === undefined || bytes === 0 ? undefined : memoryText(bytes);
}

export function readResources(service: Service, scope: Scope): Resources | undefined {
  const limits = service.deploy?.resources?.limits;
  const reservations = service.deploy?.resources?.reservations;
  const memory = (written: string | number | null | undefined, ...path: readonly string[]): string | number | undefined => readSize(written, scope.at(...path));
  const pids = limits?.pids ?? service.pids_limit ?? 0;
  const resources: Resources = defined({
    cpu: reservations?.cpus,
    memory: memory(reservations?.memory, 'deploy', 'resources', 'reservations', 'memory') ?? memory(service.mem_reservation, 'mem_reservation'),
    cpuLimit: limits?.cpus ?? service.cpus ?? undefined,
    memoryLimit: memory(limits?.memory, 'deploy', 'resources', 'limits', 'memory') ?? memory(service.mem_limit, 'mem_limit'),
    pids: pids > 0 ? pids : undefined,
  });
  return Object.keys(resources).length === 0 ? undefined : resources;
}

/**
 * `parallelism` containers move at a time: beside the old ones (`start-first`), or in their place (`stop-first`, Compose's
 * default once update_config is there). 0 moves all at once.
 */
export function readUpdate(deploy: Deploy | null | undefined, replicas: number, scope: Scope): Update | undefined {
  const config = deploy?.update_config;
  if (!config) return undefined;
  const place = scope.at('deploy', 'update_config');
  const parallelism = config.parallelism === 0 ? Math.max(1, replicas) : (config.parallelism ?? 1);
  if (config.failure_action === 'continue') place.at('failure_action').unsupported('an update that fails is not carried on: it stays where it is');
  const monitor = config.monitor === undefined ? undefined : composeDuration(config.monitor);
  if (config.monitor !== undefined && monitor === undefined) place.at('monitor').error(`${JSON.stringify(config.monitor)} is not a duration: write a number with its unit, as in 10s`);
  return {
    maxSurge: config.order === 'start-first' ? parallelism : 0,
    maxUnavailable: config.order === 'start-first' ? 0 : parallelism,
    autoRollback: config.failure_action === 'rollback',
    ...(monitor === undefined ? {} : {healthyFor: durationText(monitor)}),
  };
}

/** `deploy.restart_policy` wins over `restart`. Neither: kept running, as an orchestrator does. */
export function readRestart(service: Service, scope: Scope): Restart | undefined {
  const policy = service.deploy?.restart_policy;
  if (policy) {
    const place = scope.at('deploy', 'restart_policy');
    const delay = policy.delay === undefined ? undefined : composeDuration(policy.delay);
    if (policy.delay !== undefined && delay === undefined) place.at('delay').error(`${JSON.stringify(policy.delay)} is not a duration: write a number with its unit, as in 5s`);
    const kept = policy.condition === 'on-failure' ? 'on-failure' : policy.condition === 'none' ? 'never' : 'always';
    if (policy.max_attempts !== undefined && kept === 'always') place.at('max_attempts').unsupported('restarts are limited with condition: on-failure alone');
    return {
      policy: kept,
      ...(delay === undefined || delay === 0 ? {} : {backoff: {initial: durationText(delay), ...(delay > 60_000 ? {max: durationText(delay)} : {})}}),
      ...(policy.max_attempts !== undefined && kept === 'on-failure' ? {attempts: policy.max_attempts} : {}),
    };
  }
  if (service.restart === undefined || service.restart === null || service.restart === '') return undefined;
  const match = /^(no|false|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(service.restart);
  if (!match) {
    scope.at('restart').error(`${JSON.stringify(service.restart)} is not known: write "no", always, unless-stopped, on-failure or on-failure:3`);
    return undefined;
  }
  const [, kind, attempts] = match;
  if (kind === 'on-failure') return {policy: 'on-failure', ...(attempts === undefined ? {} : {attempts: Number(attempts)})};
  return {policy: kind === 'no' || kind === 'false' ? 'never' : 'always'};
}

/** Constraints as Swarm writes them: `node.labels.disk == ssd`. */
export function readPlacement(deploy: Deploy | null | undefined, scope: Scope): Placement | undefined {
  const constraints: ConstraintInput[] = [];
  const nodes: string[] = [];
  for (const [index, text] of (deploy?.placement?.constraints ?? []).entries()) {
    const place = scope.at('deploy', 'placement', 'constraints', index);
    const [, attribute = '', operator, value = ''] = /^\s*([\w./-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(text) ?? [];
    const label = labelOf(attribute);
    if (operator === undefined) place.error(`${JSON.stringify(text)} is not a constraint: write it as in node.labels.disk == ssd`);
    else if (attribute === 'node.hostname' && operator === '==') nodes.push(value);
    else if (label !== undefined) constraints.push({label, [operator === '==' ? 'in' : 'notIn']: [value]});
    else place.unsupported(`${attribute} is not known of a node; use node.labels.NAME, node.hostname or node.platform.arch`);
  }
  return constraints.length + nodes.length === 0 ? undefined : {...(nodes.length > 0 ? {nodes} : {}), ...(constraints.length > 0 ? {constraints} : {})};
}

function labelOf(attribute: string): string | undefined {
  if (attribute.startsWith('node.labels.')) return attribute.slice('node.labels.'.length);
  return {'node.platform.os': 'hivemind.io/os', 'node.platform.arch': 'hivemind.io/arch', 'node.hostname': 'hivemind.io/hostname'}[attribute];
}

/** The object without what is undefined. */
export function defined<T extends object>(object: T): T {
  const result = {...object};
  for (const key in result) if (result[key] === undefined) delete result[key];
  return result;
}
