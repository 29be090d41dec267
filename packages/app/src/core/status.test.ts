import type {ContainerStatus} from '@hivemind/contracts';
import {aContainer, anApp, aRollout, aStatus, at, running} from '../testing/builders.ts';
import {appStatus, type StatusInput} from './status.ts';

const app = anApp({replicas: 2});
const status = (input: Partial<StatusInput>) => appStatus({app, rollout: aRollout(input.app ?? app), containers: [], waiting: [], addressOf: () => '10.0.0.1', ...input});
const phase = (input: Partial<StatusInput>) => status(input).phase;
const condition = (input: Partial<StatusInput>, type: string) => status(input).conditions.find((each) => each.type === type);
const container = (fields: Partial<ContainerStatus>, of = app) => ({record: aContainer(of), status: aStatus(fields)});
const crashing = {phase: 'exited' as const, ready: false, reason: 'CrashLoop', message: '', exitCode: 1, restarts: 4, nextAttemptAt: at(8000), lastLogs: ['starting', 'no such table']};

describe('the phase of an app', () => {
  it('is running when all replicas of the newest revision are ready', () => {
    expect(phase({containers: [running(app), running(app)]})).toBe('running');
    expect(phase({app: anApp({replicas: 0}), containers: []})).toBe('running');
  });

  it('is running during its first rollout already, but not during a change', () => {
    const containers = [running(app), running(app)];
    expect(phase({containers, rollout: aRollout(app, {phase: 'progressing', previous: null})})).toBe('running');
    expect(phase({containers, rollout: aRollout(app, {phase: 'progressing', previous: 1})})).toBe('progressing');
  });

  it('tells what was rolled back from what is done', () => {
    const input = {containers: [running(app), running(app)], rollout: aRollout(app, {phase: 'rolled-back' as const, previous: 1, reason: 'DeadlineExceeded', message: 'no progress within 5m'})};
    expect(phase(input)).toBe('degraded');
    expect(condition(input, 'RolledOut')).toMatchObject({status: 'false', reason: 'RolledBack', message: 'DeadlineExceeded: no progress within 5m'});
    expect(phase({...input, rollout: aRollout(app, {phase: 'failed', previous: null}), containers: []})).toBe('failed');
  });

  it('is progressing while containers start, degraded when some fail, failed when none serves', () => {
    expect(phase({containers: [running(app), container({phase: 'starting', ready: false})]})).toBe('progressing');
    expect(phase({containers: [running(app), container(crashing)]})).toBe('degraded');
    expect(phase({containers: [container(crashing), container(crashing)]})).toBe('failed');
  });

  it('is pending without a machine or a dependency, degraded when only some lack one', () => {
    const refusals = [{node: 'n1', reason: 'asks 64Gi of memory, 12.1Gi of 23.4Gi free'}];
    expect(phase({refusals})).toBe('pending');
    expect(phase({waiting: [{app: 'db', message: 'app db does not exist'}]})).toBe('pending');
    expect(phase({rollout: undefined})).toBe('pending');
    expect(phase({containers: [running(app)], refusals})).toBe('degraded');
  });

  it('is stopped when the last container is gone', () => {
    const stopped = {...app, stopped: true};
    expect(phase({app: stopped, containers: [running(app, {removedAt: at(0)})]})).toBe('progressing');
    expect(phase({app: stopped, containers: []})).toBe('stopped');
  });

  it('of a job is running, completed when enough runs ended well, failed when one is given up', () => {
    const job = anApp({mode: 'job', replicas: 2, restart: {policy: 'on-failure'}});
    const done = container({phase: 'exited', ready: false, exitCode: 0, reason: 'Completed'}, job);
    expect(phase({app: job, containers: [done, running(job)]})).toBe('running');
    expect(phase({app: job, containers: [done, done]})).toBe('completed');
    expect(phase({app: job, containers: [done, container({...crashing}, job)]})).toBe('degraded');
    expect(phase({app: job, containers: [done, container({...crashing, nextAttemptAt: undefined}, job)]})).toBe('failed');
  });

  it('of an app that may end is completed too', () => {
    const once = anApp({restart: {policy: 'never'}});
    expect(phase({app: once, containers: [container({phase: 'exited', ready: false, exitCode: 0}, once)]})).toBe('completed');
  });
});

describe('what else an app says', () => {
  it('counts desired, running, ready and updated', () => {
    const newer = anApp({replicas: 3}, {revision: 2});
    const containers = [running(newer), {record: aContainer(newer), status: aStatus({ready: false})}, running(newer, {revision: 1}), running(newer, {removedAt: at(0)})];
    expect(status({app: newer, containers}).replicas).toEqual({desired: 3, running: 3, ready: 2, updated: 2});
  });

  it('lists endpoints of ready containers alone, at their machine unless bound to one address', () => {
    const ports = [{name: 'http', container: 80, protocol: 'tcp' as const, host: 8080}, {container: 81, protocol: 'tcp' as const, host: 8081, address: '127.0.0.1'}, {container: 82, protocol: 'tcp' as const}];
    const ready = container({ports});
    expect(status({containers: [ready, container({ports, ready: false})]}).endpoints).toEqual([
      {node: 'n1', address: '10.0.0.1', port: 8080, container: ready.record.id, name: 'http'},
      {node: 'n1', address: '127.0.0.1', port: 8081, container: ready.record.id},
    ]);
  });

  it('lists each machine that leads a published port on, those of its containers first, and says where a process has it', () => {
    const here = {record: aContainer(app, {node: 'n2'}), status: aStatus()};
    const bound = {record: aContainer(app, {node: 'n1'}), status: aStatus({ports: [{container: 80, protocol: 'tcp', host: 8080}]})};
    const publishing = {
      machines: [{node: 'n1', address: '10.0.0.1', taken: [{port: 22, protocol: 'tcp' as const, service: 'default/web'}]}, {node: 'n2', address: '10.0.0.2', taken: []}],
      published: {published: [{name: 'http', port: 8080, targetPort: 80, protocol: 'tcp' as const}, {port: 22, targetPort: 22, protocol: 'tcp' as const}, {port: 81, targetPort: 81, protocol: 'tcp' as const, address: '10.0.0.1'}], conditions: []},
    };
    expect(status({containers: [here, bound], publishing}).endpoints).toEqual([
      {node: 'n1', address: '10.0.0.1', port: 8080, name: 'http'}, {node: 'n2', address: '10.0.0.2', port: 8080, name: 'http'},
      {node: 'n2', address: '10.0.0.2', port: 22}, {node: 'n1', address: '10.0.0.1', port: 81},
    ]);
    expect(status({containers: [here], publishing}).endpoints[0]?.node).toBe('n2');
    expect(status({containers: [{...here, status: aStatus({ready: false})}], publishing}).endpoints).toEqual([]);
    expect(condition({publishing}, 'Published')).toMatchObject({status: 'false', reason: 'PortTaken', message: '22/tcp is left to a process that listens there on n1; the other machines lead it on'});
    const refused = {type: 'Published', status: 'false' as const, reason: 'PortTaken', message: 'host port 80/tcp belongs to app default/x', since: at(0)};
    expect(condition({publishing: {machines: [], published: {conditions: [refused]}}}, 'Published')).toEqual(refused);
  });

  it('says what each machine refused, and how many containers wait', () => {
    const refusals = [{node: 'n1', reason: 'asks 64Gi of memory, 12.1Gi of 23.4Gi free'}, {node: 'n2', reason: 'is cordoned'}];
    expect(condition({refusals}, 'Placed')).toMatchObject({reason: 'Unplaced', message: '2 containers have no machine. n1: asks 64Gi of memory, 12.1Gi of 23.4Gi free; n2: is cordoned'});
    expect(condition({refusals: []}, 'Placed')?.message).toBe('2 containers have no machine: there is none in the cluster');
  });

  it('shows exit code, last output and next attempt of what crashes', () => {
    const failing = container(crashing);
    expect(condition({containers: [failing, running(app)]}, 'Failing')).toMatchObject({
      reason: 'CrashLoop',
      message: `${failing.record.id} on n1: CrashLoop; exit code 1; restarted 4 times; next attempt at ${at(8000)}. Last output:\nstarting\nno such table`,
    });
  });

  it('names an image that does not exist, and a dependency that is missing', () => {
    expect(condition({containers: [container({phase: 'pulling', ready: false, reason: 'ImageNotFound', message: 'image web:1 does not exist'})]}, 'Failing')).toMatchObject({reason: 'ImageNotFound', message: expect.stringContaining('image web:1 does not exist')});
    expect(condition({waiting: [{app: 'db', message: 'app db does not exist'}]}, 'DependenciesMet')).toMatchObject({status: 'false', message: 'waits: app db does not exist'});
  });

  it('is silent about what is well', () => {
    expect(status({containers: [running(app), running(app)]}).conditions.map(({type, status: is}) => [type, is])).toEqual([['Available', 'true'], ['RolledOut', 'true']]);
  });
});
