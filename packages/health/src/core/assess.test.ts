import {AppRecord, ContainerRecord, ContainerStatus, NodeRecord, NodeStatusRecord, NodeVerdict, templateOf} from '@hivemind/contracts';
import {appHealth, type ContainerView, nodeHealth, summary} from './assess.ts';

const meta = {uid: 'u1', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'};
const app = (fields: object = {}, spec: object = {}): AppRecord => AppRecord.parse({name: 'web', namespace: 'default', labels: {}, annotations: {}, revision: 1, meta, spec: {image: 'web:1', replicas: 2, ...spec}, ...fields});
const view = (id: string, status?: object, removedAt?: string): ContainerView => ({
  record: ContainerRecord.parse({id, namespace: 'default', app: 'web', appUid: 'u1', revision: 1, node: 'n1', generation: 1, template: templateOf(app().spec), ports: [], mode: 'replicated', createdAt: meta.createdAt, removedAt}),
  status: status && ContainerStatus.parse(status),
});
const ready = {phase: 'running', ready: true};
const crashing = {phase: 'exited', ready: false, reason: 'CrashLoop', message: 'exited with code 1'};

describe('an app', () => {
  it.each([
    ['with all replicas ready', [view('a', ready), view('b', ready)], 'healthy'],
    ['with one that crashes', [view('a', ready), view('b', crashing)], 'degraded'],
    ['of which nothing serves', [view('a', crashing), view('b')], 'unhealthy'],
    ['whose old container is on its way out', [view('a', ready), view('b', ready), view('c', crashing, meta.createdAt)], 'healthy'],
  ])('%s', (_what, containers, level) => {
    expect(appHealth(app(), containers).level).toBe(level);
  });

  it('that was stopped is well', () => {
    expect(appHealth(app({stopped: true}), [])).toMatchObject({level: 'healthy', desired: 0});
  });

  it('is a job that is done', () => {
    expect(appHealth(app({}, {mode: 'job', replicas: 1}), [view('a', {phase: 'exited', ready: false, reason: 'Completed'})]).level).toBe('healthy');
  });

  it('says what is wrong with which container', () => {
    expect(appHealth(app(), [view('a', ready), view('b', crashing)]).troubles).toEqual([{container: 'b', node: 'n1', phase: 'exited', reason: 'CrashLoop', message: 'exited with code 1'}]);
  });
});

describe('a machine', () => {
  const node = NodeRecord.parse({name: 'n1', labels: {}, annotations: {}, spec: {address: '10.0.0.1'}, meta});
  const told = (available: boolean) =>
    NodeStatusRecord.parse({name: 'n1', session: 1, lastSeenAt: meta.createdAt, report: {capacity: {cpu: 1, memory: 1, disk: 1}, labels: {}, address: '10.0.0.1', agentVersion: '0', runtime: {name: 'docker', version: '1', available}}});

  const ruled = (state: NodeVerdict['state']) => NodeVerdict.parse({name: 'n1', state, reason: 'LeaseLapsed', message: 'it is not heard', since: meta.createdAt});

  it.each([
    ['heard, its engine answering', ruled('ready'), told(true), 'healthy', 'ready', ''],
    ['of which nothing was ruled yet', undefined, told(true), 'healthy', 'ready', ''],
    ['heard, without its engine', ruled('ready'), told(false), 'degraded', 'ready', 'its container engine does not answer'],
    ['not heard', ruled('unreachable'), told(true), 'unhealthy', 'unreachable', 'it is not heard'],
    ['that is dead', ruled('dead'), told(true), 'unhealthy', 'dead', 'it is not heard'],
    ['that never registered', undefined, undefined, 'unhealthy', 'unreachable', 'its agent was never heard'],
  ])('%s', (_what, verdict, status, level, phase, message) => {
    expect(nodeHealth(node, status, verdict, [view('a', ready)])).toMatchObject({level, phase, message});
  });

  it('in maintenance is, where it is heard', () => {
    const emptied = {...node, spec: {...node.spec, maintenance: true}};
    expect(nodeHealth(emptied, told(true), ruled('ready'), [])).toMatchObject({level: 'healthy', phase: 'maintenance'});
    expect(nodeHealth(emptied, told(true), ruled('dead'), [])).toMatchObject({phase: 'dead'});
  });

  it('counts what on it is not ready', () => {
    expect(nodeHealth(node, told(true), undefined, [view('a', ready), view('b', crashing)])).toMatchObject({level: 'degraded', containers: 2, notReady: 1});
  });
});

describe('the whole', () => {
  it('is as well as its worst part', () => {
    const good = appHealth(app(), [view('a', ready), view('b', ready)]);
    const bad = appHealth(app(), [view('a', crashing)]);
    expect(summary([good], [], []).level).toBe('healthy');
    expect(summary([good, bad], [], [view('a', ready), view('b', crashing)])).toEqual({level: 'unhealthy', nodes: {total: 0, healthy: 0}, apps: {total: 2, healthy: 1}, containers: {total: 2, running: 1, ready: 1}});
  });
});
