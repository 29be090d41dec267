import {aNode, aRequest, GiB, held} from '../testing/builders.ts';
import {explain, place} from './place.ts';

const nodesOf = (result: ReturnType<typeof place>) => result.placements.map(({node}) => node);
const reasonOf = (result: ReturnType<typeof place>) => result.refusals[0]?.nodes.map(({node, reason}) => `${node}: ${reason}`);

describe('where a container goes', () => {
  it('spreads an app over nodes, though it would fit on one', () => {
    const result = place([aRequest(), aRequest(), aRequest()], [aNode('a'), aNode('b'), aNode('c')]);
    expect(nodesOf(result).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('spreads a new revision by its own copies: where those are that go says nothing for long', () => {
    // All were put on one machine once. They go one by one, and keep their place until they have ended.
    const old = Object.fromEntries([1, 2, 3].map((index) => [`old-${index}`, held({app: 'web', revision: 1})]));
    const fresh = new Map<string, string>();
    for (const id of ['x', 'y', 'z']) {
      const nodes = ['a', 'b', 'c'].map((name) => aNode(name, {containers: {...(name === 'a' ? old : {}), ...Object.fromEntries([...fresh].filter(([, node]) => node === name).map(([key]) => [key, held({app: 'web', revision: 2})]))}}));
      const [node = ''] = nodesOf(place([aRequest({id, revision: 2})], nodes));
      fresh.set(id, node);
    }
    expect([...fresh.values()].toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('says which machines it passed over where it puts copies together', () => {
    const nodes = [aNode('a'), aNode('away', {closed: 'is not ready: its agent was last heard at noon'}), aNode('full', {containers: {x: held({memory: 8 * GiB})}}), aNode('other', {labels: {disk: 'hdd'}})];
    const asked = (): ReturnType<typeof aRequest> => aRequest({memory: GiB, revision: 1, constraints: [{label: 'disk', missing: true}]});
    expect(place([asked()], nodes).passedOver).toEqual([]);
    expect(place([asked(), asked()], nodes)).toMatchObject({placements: [{node: 'a'}, {node: 'a'}], passedOver: [
      {node: 'away', filter: 'ready', reason: 'is not ready: its agent was last heard at noon'},
      {node: 'full', filter: 'memory', reason: 'asks 1Gi of memory, 0 of 8Gi free'},
    ]});
  });

  it('among equals takes the fullest node that it still fits', () => {
    const nodes = [aNode('empty'), aNode('half', {containers: {x: held({memory: 4 * GiB})}}), aNode('full', {containers: {y: held({memory: 8 * GiB})}})];
    expect(nodesOf(place([aRequest({memory: GiB})], nodes))).toEqual(['half']);
  });

  it('doubles up on a node rather than refuse: the spread is a preference', () => {
    expect(nodesOf(place([aRequest(), aRequest()], [aNode('a')]))).toEqual(['a', 'a']);
  });

  it('sees its own earlier placements', () => {
    const result = place([aRequest({memory: 5 * GiB}), aRequest({memory: 5 * GiB})], [aNode('a')]);
    expect(nodesOf(result)).toEqual(['a']);
    expect(reasonOf(result)).toEqual(['a: asks 5Gi of memory, 3Gi of 8Gi free']);
  });

  it('counts the room of what is about to go as free, and that of the request itself', () => {
    const node = aNode('a', {containers: {old: held({memory: 8 * GiB})}});
    expect(place([aRequest({memory: GiB})], [node]).placements).toEqual([]);
    expect(nodesOf(place([aRequest({memory: GiB})], [node], {ignore: ['old']}))).toEqual(['a']);
    expect(nodesOf(place([aRequest({id: 'old', memory: GiB})], [node]))).toEqual(['a']);
  });

  it('answers whether it could ever fit, whatever runs and whoever is away', () => {
    const node = aNode('a', {closed: 'is cordoned', containers: {old: held({memory: 8 * GiB})}});
    expect(nodesOf(place([aRequest({memory: 8 * GiB})], [node], {onEmpty: true}))).toEqual(['a']);
    expect(place([aRequest({memory: 64 * GiB})], [node], {onEmpty: true}).refusals[0]?.nodes).toEqual([{node: 'a', filter: 'memory', reason: 'asks 64Gi of memory, 8Gi of 8Gi free'}]);
  });
});

describe('why a node refuses', () => {
  const refusal = (request: Parameters<typeof aRequest>[0], node: Parameters<typeof aNode>[1]) => reasonOf(place([aRequest(request)], [aNode('n', node)]))?.[0];

  it.each([
    ['its state', {}, {closed: 'is cordoned: it takes no new containers'}, 'n: is cordoned: it takes no new containers'],
    ['names', {nodes: ['a', 'b']}, {}, 'n: is not one of the nodes asked for: a, b'],
    ['in', {constraints: [{label: 'disk', in: ['ssd', 'nvme']}]}, {labels: {disk: 'hdd'}}, 'n: has disk=hdd, asked is one of ssd, nvme'],
    ['in, without the label', {constraints: [{label: 'disk', in: ['ssd']}]}, {}, 'n: has no label disk, asked is one of ssd'],
    ['notIn', {constraints: [{label: 'disk', notIn: ['hdd']}]}, {labels: {disk: 'hdd'}}, 'n: has disk=hdd, which is excluded'],
    ['exists', {constraints: [{label: 'gpu', exists: true as const}]}, {}, 'n: has no label gpu'],
    ['missing', {constraints: [{label: 'spot', missing: true as const}]}, {labels: {spot: 'yes'}}, 'n: has spot=yes, asked is none'],
    ['gt', {constraints: [{label: 'gen', gt: 3}]}, {labels: {gen: '3'}}, 'n: has gen=3, asked is more than 3'],
    ['lt, of what is no number', {constraints: [{label: 'gen', lt: 3}]}, {labels: {gen: ''}}, 'n: has gen=, asked is less than 3'],
    ['volumes', {pinnedTo: [{volume: 'data', node: 'other'}]}, {}, 'n: the data of volume data is on other'],
    ['memory', {memory: 64 * GiB}, {capacity: {cpu: 1, memory: 23.4 * GiB, pods: 5}, containers: {x: held({memory: 11.3 * GiB})}}, 'n: asks 64Gi of memory, 12.1Gi of 23.4Gi free'],
    ['CPU', {cpu: 1500}, {capacity: {cpu: 2000, memory: 1, pods: 5}, containers: {x: held({cpu: 750})}}, 'n: asks 1.5 of CPU, 1.25 of 2 free'],
    ['the number of containers', {}, {capacity: {cpu: 1, memory: 1, pods: 1}, containers: {x: held()}}, 'n: holds 1 containers, at most 1 are allowed'],
    ['a host port', {ports: [{container: 80, protocol: 'tcp' as const, host: 8080}]}, {containers: {x: held({ports: [{host: 8080, protocol: 'tcp'}]})}}, 'n: host port 8080/tcp is taken by default/other'],
    ['a range of host ports', {ports: [{container: 80, protocol: 'tcp' as const, host: '8080-8081'}]}, {containers: {x: held({ports: [{host: 8080, protocol: 'tcp'}, {host: 8081, protocol: 'tcp'}]})}}, 'n: every host port of 8080-8081/tcp is taken'],
  ])('%s', (_what, request, node, reason) => {
    expect(refusal(request, node)).toBe(reason);
  });

  it('is told of every node, the commonest objection first', () => {
    const full = {containers: {x: held({memory: 8 * GiB})}};
    const result = place([aRequest({memory: GiB})], [aNode('a', {closed: 'is cordoned'}), aNode('b', full), aNode('c', full)]);
    expect(result.refusals[0]?.nodes.map(({node, filter}) => [node, filter])).toEqual([['b', 'memory'], ['c', 'memory'], ['a', 'ready']]);
  });
});

describe('taints', () => {
  const tainted = (effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute') => [aNode('a', {taints: [{key: 'gpu', value: 'a100', effect}]}), aNode('b', {capacity: {cpu: 1, memory: GiB, pods: 1}})];
  const two = (fields: Parameters<typeof aRequest>[0] = {}) => [aRequest(fields), aRequest(fields)];

  it('keep away what does not tolerate them', () => {
    for (const effect of ['NoSchedule', 'NoExecute'] as const) {
      const result = place(two(), tainted(effect));
      expect(nodesOf(result)).toEqual(['b']);
      expect(reasonOf(result)?.[0]).toMatch(new RegExp(`a: has the taint gpu=a100:${effect}, which it does not tolerate|b: holds`));
      expect(nodesOf(place(two({tolerations: [{key: 'gpu', value: 'a100'}]}), tainted(effect))).toSorted()).toEqual(['a', 'b']);
      expect(nodesOf(place(two({tolerations: [{key: 'gpu', value: 'h100'}]}), tainted(effect)))).toEqual(['b']);
      expect(nodesOf(place(two({tolerations: [{key: '*'}]}), tainted(effect))).toSorted()).toEqual(['a', 'b']);
    }
  });

  it('PreferNoSchedule: only where nothing else is left', () => {
    expect(nodesOf(place(two(), tainted('PreferNoSchedule')))).toEqual(['b', 'a']);
  });
});

describe('affinity', () => {
  const zones = (containers: Record<string, string> = {}) => ['a1', 'a2', 'b1'].map((name) => aNode(name, {labels: {zone: name.slice(0, 1)}, containers: containers[name] === undefined ? {} : {x: held({app: containers[name]})}}));
  const near = (required: boolean, topology = 'zone') => [{app: 'cache', topology, weight: 50, required}];

  it('required: only where the other app is', () => {
    expect(nodesOf(place([aRequest({affinity: near(true)}), aRequest({affinity: near(true)})], zones({a2: 'cache'}))).toSorted()).toEqual(['a1', 'a2']);
    expect(nodesOf(place([aRequest({affinity: near(true, 'node')})], zones({a2: 'cache'})))).toEqual(['a2']);
    const none = place([aRequest({affinity: near(true)})], [...zones(), aNode('c')]);
    expect(reasonOf(none)).toEqual(['a1: has no container of app cache in zone a', 'a2: has no container of app cache in zone a', 'b1: has no container of app cache in zone b', 'c: has no label zone, by which it should be near app cache']);
  });

  it('to itself: the first goes anywhere, the others join it', () => {
    const own = {affinity: [{app: 'web', topology: 'zone', weight: 50, required: true}]};
    const result = nodesOf(place([aRequest(own), aRequest(own), aRequest(own)], zones()));
    expect(new Set(result.map((name) => name.slice(0, 1))).size).toBe(1);
  });

  it('preferred: there while there is room, elsewhere after that', () => {
    const full = zones({b1: 'cache'}).map((node) => (node.name === 'b1' ? {...node, capacity: {...node.capacity, pods: 2}} : node));
    expect(nodesOf(place([aRequest({affinity: near(false)}), aRequest({affinity: near(false)})], full))[0]).toBe('b1');
    expect(nodesOf(place([aRequest({affinity: near(false)}), aRequest({affinity: near(false)})], full))[1]).not.toBe('b1');
  });

  it('anti, required and preferred', () => {
    const apart = (required: boolean) => ({antiAffinity: [{app: 'web', topology: 'zone', weight: 50, required}]});
    const strict = place([aRequest(apart(true)), aRequest(apart(true)), aRequest(apart(true))], zones());
    expect(nodesOf(strict).map((name) => name.slice(0, 1)).toSorted()).toEqual(['a', 'b']);
    expect(reasonOf(strict)).toContain('b1: has a container of app web in zone b, asked is none');
    expect(nodesOf(place([aRequest(apart(false)), aRequest(apart(false)), aRequest(apart(false))], zones()))).toHaveLength(3);
  });
});

describe('spread', () => {
  const spread = {spread: [{topology: 'zone', maxSkew: 1}]};
  const node = (name: string, fields: Parameters<typeof aNode>[1] = {}) => aNode(name, {labels: {zone: name.slice(0, 1)}, ...fields});

  it('never leaves one zone more than maxSkew ahead', () => {
    const small = node('b1', {capacity: {cpu: 1, memory: 1, pods: 1}});
    const result = place([aRequest(spread), aRequest(spread), aRequest(spread), aRequest(spread)], [node('a1'), node('a2'), small]);
    expect(nodesOf(result).map((name) => name.slice(0, 1)).toSorted()).toEqual(['a', 'a', 'b']);
    expect(reasonOf(result)).toContain('a1: has 2 of this app in zone a, b has 1: at most 1 more are allowed');
  });

  it('is not held back by a zone that is shut', () => {
    expect(nodesOf(place([aRequest(spread), aRequest(spread)], [node('a1'), node('b1', {closed: 'is dead'})]))).toEqual(['a1', 'a1']);
  });
});

describe('strategies', () => {
  const nodes = () => [aNode('a', {containers: {x: held({memory: 2 * GiB})}}), aNode('b'), aNode('c', {containers: {y: held({memory: 4 * GiB})}})];
  const chosen = (strategy: 'best-fit' | 'worst-fit' | 'first-fit' | 'random', random?: () => number) => nodesOf(place([aRequest({memory: GiB, strategy}), aRequest({memory: GiB, strategy})], nodes(), random ? {random} : {}));

  it.each([
    ['best-fit', ['c', 'a']],
    ['worst-fit', ['b', 'a']],
    ['first-fit', ['a', 'a']],
  ] as const)('%s', (strategy, expected) => {
    expect(chosen(strategy)).toEqual(expected);
  });

  it('random takes any that fits, by the chance it is given', () => {
    expect(chosen('random', () => 0.99)).toEqual(['c', 'c']);
    expect(chosen('random', () => 0.4)).toEqual(['b', 'b']);
  });
});

describe('host ports', () => {
  it('are held by no container where all machines lead them on', () => {
    const ports = [{container: 80, protocol: 'tcp' as const, host: 8080}, {container: 81, protocol: 'tcp' as const, host: 0}];
    const taken = aNode('a', {containers: {x: held({ports: [{host: 8080, protocol: 'tcp'}]})}});
    const result = place([aRequest({ports}), aRequest({ports})], [taken], {sharedPorts: true});
    expect(result.placements.map((placed) => placed.ports.map(({host}) => host))).toEqual([[8080, 0], [8080, 0]]);
    expect(explain(aRequest({ports}), [taken], {sharedPorts: true})).toMatchObject([{fits: true}]);
    expect(explain(aRequest({ports}), [taken])).toMatchObject([{fits: false}]);
  });

  it('are held where the machine leads none to several containers, though others do', () => {
    const ports = [{container: 80, protocol: 'tcp' as const, host: 8080}];
    const requests = [aRequest({ports}), aRequest({ports}), aRequest({ports})];
    const result = place(requests, [aNode('a', {holdsPorts: true})], {sharedPorts: true});
    expect(result.placements).toHaveLength(1);
    expect(result.refusals[0]?.nodes).toMatchObject([{node: 'a', reason: expect.stringContaining('host port 8080/tcp is taken')}]);
    expect(place(requests, [aNode('a', {holdsPorts: true}), aNode('b')], {sharedPorts: true}).placements).toHaveLength(3);
  });

  it('takes one port of a range for each container of a batch', () => {
    const ports = [{container: 80, protocol: 'tcp' as const, host: '8081-8083'}];
    const result = place([aRequest({ports}), aRequest({ports}), aRequest({ports}), aRequest({ports})], [aNode('a')]);
    expect(result.placements.map((placed) => placed.ports[0]?.host)).toEqual([8081, 8082, 8083]);
    expect(reasonOf(result)).toEqual(['a: every host port of 8081-8083/tcp is taken']);
  });

  it('chooses for overlapping ranges of one container so that all are served', () => {
    const port = (host: number | string) => ({container: 80, protocol: 'tcp' as const, host});
    const result = place([aRequest({ports: [port('1-3'), port('1-2'), port(1)]})], [aNode('a')]);
    expect(result.placements[0]?.ports.map(({host}) => host)).toEqual([3, 2, 1]);
  });

  it('tells protocols and addresses apart, but a wildcard address clashes with all', () => {
    const taken = aNode('a', {containers: {x: held({ports: [{host: 53, protocol: 'udp', address: '10.0.0.1'}]})}});
    const ask = (protocol: 'tcp' | 'udp', address?: string) => place([aRequest({ports: [{container: 53, protocol, host: 53, address}]})], [taken]).placements.length;
    expect(ask('tcp')).toBe(1);
    expect(ask('udp', '10.0.0.2')).toBe(1);
    expect(ask('udp', '10.0.0.1')).toBe(0);
    expect(ask('udp')).toBe(0);
    expect(ask('udp', '0.0.0.0')).toBe(0);
  });

  it('leaves port 0 to the engine and unpublished ports alone', () => {
    const result = place([aRequest({ports: [{container: 80, protocol: 'tcp', host: 0, name: 'http'}, {container: 81, protocol: 'tcp'}]})], [aNode('a')]);
    expect(result.placements[0]?.ports).toEqual([{name: 'http', container: 80, protocol: 'tcp', host: 0}, {container: 81, protocol: 'tcp'}]);
  });
});

it('explains what each node would say, the best first', () => {
  const nodes = [aNode('busy', {containers: {x: held({app: 'web', memory: 4 * GiB})}}), aNode('free'), aNode('shut', {closed: 'is cordoned'})];
  expect(explain(aRequest({memory: GiB}), nodes)).toEqual([
    {node: 'free', fits: true, reason: '0 of this app there, 13% full with it'},
    {node: 'busy', fits: true, reason: '1 of this app there, 63% full with it'},
    {node: 'shut', fits: false, reason: 'is cordoned'},
  ]);
});
