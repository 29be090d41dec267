import {ContainerStatus, type PublishedPort} from '@hivemind/contracts';
import {containerRecord} from '../testing/builders.ts';
import {presentContainer} from './present.ts';

const record = containerRecord({});
const shown = (status: Partial<ContainerStatus>, published: readonly PublishedPort[]) => {
  const full = ContainerStatus.parse({phase: 'running', ready: true, ...status});
  return presentContainer(record, 1, {reported: {id: record.id, namespace: record.namespace, app: record.app, node: record.node, session: 1, status: full, reportedAt: '2026-01-01T00:00:00Z'}, published}).status.ports;
};

describe('the ports of a container', () => {
  const led: PublishedPort = {name: 'http', port: 8080, targetPort: 80, protocol: 'tcp'};

  it('are those that its machine leads to it, where the engine has bound none itself', () => {
    expect(shown({ports: [{container: 80, protocol: 'tcp'}, {container: 81, protocol: 'tcp'}]}, [led])).toEqual([{container: 81, protocol: 'tcp'}, {name: 'http', container: 80, protocol: 'tcp', host: 8080}]);
    expect(shown({ports: [{container: 80, protocol: 'tcp', host: 32_000}]}, [led])).toEqual([{container: 80, protocol: 'tcp', host: 32_000}]);
    expect(shown({}, [{...led, address: '127.0.0.1'}])).toMatchObject([{host: 8080, address: '127.0.0.1'}]);
  });

  it('are none while it does not run', () => {
    expect(shown({phase: 'exited', ready: false}, [led])).toEqual([]);
  });
});
