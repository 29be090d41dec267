/** An ingress as the API answers it: which machines take it, and what keeps its rules from being served. Pure. */
import {type Condition, type Ingress, type IngressRecord, type IngressRule, type ServicePort, takesIngress} from '@hivemind/contracts';
import type {Versioned} from '../present.ts';
import {type Conflict, textOf} from './claims.ts';

export interface IngressContext {
  readonly nodes: readonly {readonly name: string; readonly labels: Readonly<Record<string, string>>}[];
  /** By `namespace/name`; `ready`: how many are in rotation. */
  readonly service: (key: string) => {readonly ports: readonly ServicePort[]; readonly ready: number} | undefined;
  readonly lost: readonly Conflict[];
  /** Ports that it listens at and an app publishes. */
  readonly published: readonly {readonly field: 'http' | 'https'; readonly port: number; readonly app: string}[];
}

export function takersOf({spec}: Pick<IngressRecord, 'spec'>, nodes: IngressContext['nodes']): readonly string[] {
  return nodes.filter((node) => takesIngress(spec, node)).map(({name}) => name).toSorted();
}

export function presentIngress({value, version}: Versioned<IngressRecord>, context: IngressContext): Ingress {
  const {name, namespace, labels, annotations, spec, meta} = value;
  const nodes = takersOf(value, context.nodes);
  const problems = spec.rules.map((rule, index) => problemOf(value, rule, index, context));
  const served = problems.filter((problem) => problem === undefined).length;
  const conditions = [
    ...problems.flatMap((problem): Omit<Condition, 'status' | 'since'>[] => (problem ? [{type: 'Served', ...problem}] : [])),
    ...context.lost.filter(({path}) => path.startsWith('spec.listen')).map(({path, what, owner}) => ({type: 'Served', reason: 'PortClaimed', message: `${path}: ${what} is spoken otherwise by ingress ${owner.namespace}/${owner.name}, which is older: nothing of this one is in force`})),
    ...context.published.map(({field, port, app}) => ({type: 'Served', reason: 'PortPublished', message: `spec.listen.${field}: port ${port} is published by app ${app}: whoever asks there gets the app, or the one of the two that was first on the machine`})),
    ...(nodes.length > 0 ? [] : [{type: 'Machines', reason: 'NoMachine', message: 'spec.nodes chooses none of the machines there are'}]),
  ].map((condition) => ({...condition, status: 'false' as const, since: meta.updatedAt}));
  const whole = served === spec.rules.length && conditions.length === 0;
  return {
    kind: 'Ingress', name, namespace, labels, annotations, spec, meta: {...meta, version},
    status: {phase: whole ? 'ready' : served > 0 && nodes.length > 0 ? 'degraded' : 'unready', nodes: [...nodes], conditions},
  };
}

function problemOf({namespace}: Pick<IngressRecord, 'namespace'>, rule: IngressRule, index: number, {service, lost}: IngressContext): {reason: string; message: string} | undefined {
  const path = `spec.rules[${index}]`;
  const owner = lost.find((conflict) => conflict.path === path)?.owner;
  if (owner !== undefined) return {reason: 'Claimed', message: `${path}: ${textOf(rule)} belongs to ingress ${owner.namespace}/${owner.name}, which is older`};
  const found = service(`${namespace}/${rule.app}`);
  if (found === undefined) return {reason: 'AppNotFound', message: `${path}: there is no app ${rule.app} in namespace ${namespace}: its requests are answered with 503`};
  const port = portProblem(rule, found.ports);
  if (port !== undefined) return {reason: 'PortNotFound', message: `${path}: app ${rule.app} ${port}`};
  return found.ready > 0 ? undefined : {reason: 'NobodyReady', message: `${path}: no container of app ${rule.app} is in rotation`};
}

function portProblem({port}: IngressRule, ports: readonly ServicePort[]): string | undefined {
  const tcp = ports.filter(({protocol}) => protocol === 'tcp');
  if (tcp.length === 0) return 'declares no TCP port';
  const declared = tcp.map(({name, port: number}) => (name === undefined ? `${number}` : `${name} (${number})`)).join(', ');
  if (port === undefined) return tcp.length === 1 ? undefined : `has several ports: say which, of ${declared}`;
  return tcp.some(({name, port: number}) => number === port || name === port) ? undefined : `has no TCP port ${port}: it declares ${declared}`;
}
