/** How apps, machines and the whole are doing, from what is wanted and what is reported. Pure. */
import {type AppRecord, type ContainerRecord, type ContainerStatus, type NodeRecord, nodeState, type NodeStatusRecord, type NodeVerdict} from '@hivemind/contracts';
import type {AppHealth, HealthLevel, HealthSummary, NodeHealth} from '../model.ts';

export interface ContainerView {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus | undefined;
}

/** An app that is stopped or wants nothing is healthy; one of which nothing serves is not. */
export function appHealth(app: AppRecord, containers: readonly ContainerView[]): AppHealth {
  const desired = app.stopped || app.deletedAt !== undefined ? 0 : app.spec.replicas;
  const live = containers.filter(({record}) => record.removedAt === undefined);
  const completed = app.spec.mode === 'job' ? live.filter(isCompleted).length : 0;
  const running = live.filter(({status}) => status?.phase === 'running').length;
  const ready = live.filter(({status}) => status?.ready === true).length;
  const troubles = live.filter((view) => status(view).ready !== true && !isCompleted(view) && status(view).reason !== '');
  const good = ready + completed;
  return {
    name: app.name,
    namespace: app.namespace,
    level: good >= desired && troubles.length === 0 ? 'healthy' : good > 0 || desired === 0 ? 'degraded' : 'unhealthy',
    desired,
    running,
    ready,
    troubles: troubles.map(({record: {id, node}, status: told}) => ({container: id, node, phase: told?.phase ?? 'pending', reason: told?.reason ?? '', message: told?.message ?? ''})),
  };
}

export function nodeHealth({name, spec}: NodeRecord, told: NodeStatusRecord | undefined, verdict: NodeVerdict | undefined, containers: readonly ContainerView[]): NodeHealth {
  const state = nodeState(verdict, told !== undefined);
  const heard = state === 'ready';
  const runtimeAvailable = told?.report.runtime.available ?? false;
  const notReady = containers.filter((view) => view.record.removedAt === undefined && !isCompleted(view) && view.status?.ready !== true).length;
  const message = !heard ? (verdict?.message ?? 'its agent was never heard') : !runtimeAvailable ? (told?.report.runtime.message ?? 'its container engine does not answer') : spec.unschedulable ? 'takes no new containers' : '';
  const phase = heard && spec.maintenance === true ? 'maintenance' : state;
  return {name, level: !heard ? 'unhealthy' : runtimeAvailable && notReady === 0 ? 'healthy' : 'degraded', phase, runtimeAvailable, containers: containers.length, notReady, message};
}

export function summary(apps: readonly AppHealth[], nodes: readonly NodeHealth[], containers: readonly ContainerView[]): HealthSummary {
  const tally = (items: readonly {readonly level: HealthLevel}[]) => ({total: items.length, healthy: items.filter(({level}) => level === 'healthy').length});
  const all = [...apps, ...nodes].map(({level}) => level);
  const level = all.every((one) => one === 'healthy') ? 'healthy' : all.includes('unhealthy') ? 'unhealthy' : 'degraded';
  return {
    level,
    nodes: tally(nodes),
    apps: tally(apps),
    containers: {
      total: containers.length,
      running: containers.filter(({status: told}) => told?.phase === 'running').length,
      ready: containers.filter(({status: told}) => told?.ready === true).length,
    },
  };
}

function isCompleted({status: told}: ContainerView): boolean {
  return told?.phase === 'exited' && told.reason === 'Completed';
}

function status({status: told}: ContainerView): {readonly ready: boolean; readonly reason: string} {
  return {ready: told?.ready ?? false, reason: told?.reason ?? ''};
}
