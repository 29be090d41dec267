/** Records with defaults, so that each test shows only what matters. */
import {AppSpec, templateOf, type AppRecord, type AppSpecInput, type ContainerRecord, type ContainerStatus, type Rollout} from '@hivemind/contracts';
import type {ContainerView} from '../model.ts';

export const epoch = Date.parse('2026-01-01T00:00:00Z');
export const at = (ms: number): string => new Date(epoch + ms).toISOString();

export function anApp(spec: Partial<AppSpecInput> = {}, fields: Partial<Omit<AppRecord, 'spec'>> = {}): AppRecord {
  const name = fields.name ?? 'web';
  return {
    name, namespace: 'default', labels: {}, annotations: {}, revision: 1, stopped: false, restarts: 0,
    spec: AppSpec.parse({image: 'web:1', ...spec}),
    meta: {uid: `uid-${name}`, generation: 1, createdAt: at(0), updatedAt: at(0)},
    ...fields,
  };
}

/** A rollout that counts `replicas` of the app's revision, or what is given. */
export function aRollout(app: AppRecord, fields: Partial<Rollout> = {}): Rollout {
  return {
    id: `${app.meta.uid}-${app.revision}`, appUid: app.meta.uid, app: app.name, namespace: app.namespace, revision: app.revision, previous: null,
    phase: 'completed', strategy: 'rolling', counts: [{revision: app.revision, replicas: app.spec.replicas, weight: 100}], generation: app.meta.generation,
    reason: 'Completed', message: '', startedAt: at(0), progress: 0,
    ...fields,
  };
}

let made = 0;

export function aContainer(app: AppRecord, fields: Partial<ContainerRecord> = {}): ContainerRecord {
  made += 1;
  return {
    id: `${app.name}-${String(made).padStart(5, '0')}`, namespace: app.namespace, app: app.name, appUid: app.meta.uid, revision: app.revision, node: 'n1',
    generation: 1, template: templateOf(app.spec), ports: [], mode: app.spec.mode === 'job' ? 'job' : 'replicated', createdAt: at(made),
    ...fields,
  };
}

export function aStatus(fields: Partial<ContainerStatus> = {}): ContainerStatus {
  return {phase: 'running', ready: true, readySince: at(0), startedAt: at(0), ports: [], restarts: 0, reason: '', message: '', ...fields};
}

export function running(app: AppRecord, fields: Partial<ContainerRecord> = {}): ContainerView {
  return {record: aContainer(app, fields), status: aStatus()};
}
