import type {PlacementRequest} from '@hivemind/contracts';
import fc from 'fast-check';
import {aNode, aRequest, held} from '../testing/builders.ts';
import type {NodeView} from './nodes.ts';
import {place, type PlaceResult} from './place.ts';

type Port = PlacementRequest['ports'][number];

const address = fc.option(fc.constantFrom('10.0.0.1', '10.0.0.2', '0.0.0.0'), {nil: undefined, freq: 3});
const protocol = fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp');
const takenPort = fc.record({host: fc.integer({min: 1, max: 6}), protocol, address});
const revision = fc.constantFrom(undefined, 1, 2);
const nodes = fc
  .array(
    fc.record({
      closed: fc.option(fc.constant('is cordoned'), {nil: undefined, freq: 5}),
      capacity: fc.record({cpu: fc.integer({min: 0, max: 8}), memory: fc.integer({min: 0, max: 8}), pods: fc.integer({min: 1, max: 5})}),
      labels: fc.record({zone: fc.constantFrom('a', 'b')}),
      held: fc.array(fc.record({cpu: fc.integer({min: 0, max: 3}), memory: fc.integer({min: 0, max: 3}), app: fc.constantFrom('web', 'db'), revision, ports: fc.array(takenPort, {maxLength: 1})}), {maxLength: 2}),
    }),
    {maxLength: 5},
  )
  .map((all): NodeView[] => all.map(({held: containers, ...node}, index) => aNode(`n${index}`, {...node, containers: Object.fromEntries(containers.map((each, at) => [`old-${index}-${at}`, held(each)]))})));
const hostPort = fc.oneof(fc.integer({min: 0, max: 6}), fc.tuple(fc.integer({min: 1, max: 6}), fc.integer({min: 0, max: 3})).map(([from, more]) => `${from}-${from + more}`));
const port: fc.Arbitrary<Port> = fc.record({container: fc.constant(80), protocol, host: fc.option(hostPort, {nil: undefined}), address});
const requests = fc
  .array(
    fc.record({
      app: fc.constantFrom('web', 'db'),
      revision,
      cpu: fc.integer({min: 0, max: 4}),
      memory: fc.integer({min: 0, max: 4}),
      ports: fc.array(port, {maxLength: 2}),
      nodes: fc.constantFrom<string[]>([], [], [], [], ['n0', 'n2']),
      constraints: fc.constantFrom<PlacementRequest['constraints']>([], [], [], [], [{label: 'zone', in: ['a']}]),
      pinnedTo: fc.constantFrom<PlacementRequest['pinnedTo']>([], [], [], [], [], [{volume: 'data', node: 'n1'}]),
    }),
    {maxLength: 8},
  )
  .map((all) => all.map((each) => aRequest(each)));

interface Held {
  readonly cpu: number;
  readonly memory: number;
  readonly app: string;
  readonly revision?: number;
  readonly ports: readonly {readonly host?: number; readonly protocol: 'tcp' | 'udp'; readonly address?: string}[];
}

/** All that is on a node after the placements, from scratch. */
function onNode(node: NodeView, asked: readonly PlacementRequest[], placements: PlaceResult['placements']): Held[] {
  const placed = placements.filter((each) => each.node === node.name).map(({id, ports}) => {
    const {cpu = 0, memory = 0, app = '', revision: of} = asked.find((request) => request.id === id) ?? {};
    return {cpu, memory, app, ports, ...(of === undefined ? {} : {revision: of})};
  });
  return [...Object.values(node.containers), ...placed];
}

const wild = (text: string | undefined): boolean => text === undefined || text === '0.0.0.0';
function clash(held: readonly Held[]): boolean {
  const ports = held.flatMap((each) => each.ports).filter(({host}) => host !== undefined && host !== 0);
  return ports.some((a, index) => ports.slice(index + 1).some((b) => a.host === b.host && a.protocol === b.protocol && (wild(a.address) || wild(b.address) || a.address === b.address)));
}
const sum = (held: readonly Held[], of: (each: Held) => number): number => held.reduce((total, each) => total + of(each), 0);

/** Tries every choice of host ports, everything computed from scratch each time: slow, short, and plainly right. */
function naive(asked: readonly PlacementRequest[], all: readonly NodeView[]): readonly (string | undefined)[] {
  const placements: {id: string; node: string; ports: {container: number; protocol: 'tcp' | 'udp'; host?: number; address?: string}[]}[] = [];
  return asked.map((request) => {
    const candidates = all.flatMap((node) => {
      const before = onNode(node, asked, placements);
      const allowed =
        node.closed === undefined &&
        (request.nodes.length === 0 || request.nodes.includes(node.name)) &&
        request.constraints.every(({label, in: values}) => values?.includes(node.labels[label] ?? '')) &&
        request.pinnedTo.every((pin) => pin.node === node.name) &&
        (request.memory === 0 || sum(before, ({memory}) => memory) + request.memory <= node.capacity.memory) &&
        (request.cpu === 0 || sum(before, ({cpu}) => cpu) + request.cpu <= node.capacity.cpu) &&
        before.length < node.capacity.pods;
      const ports = allowed ? everyChoice(request.ports).find((choice) => !clash([...before, {cpu: 0, memory: 0, app: '', ports: choice}])) : undefined;
      if (ports === undefined) return [];
      const same = before.filter(({app}) => app === request.app).length;
      const like = before.filter(({app, revision: of}) => app === request.app && (request.revision === undefined || of === undefined || of === request.revision)).length;
      const share = (used: number, of: number): number => (of === 0 ? 1 : used / of);
      const full = Math.max(share(sum(before, ({cpu}) => cpu) + request.cpu, node.capacity.cpu), share(sum(before, ({memory}) => memory) + request.memory, node.capacity.memory));
      return [{node: node.name, ports, like, same, full}];
    });
    const best = candidates.toSorted((a, b) => a.like - b.like || a.same - b.same || (Math.abs(a.full - b.full) < 1e-9 ? 0 : b.full - a.full) || (a.node < b.node ? -1 : 1))[0];
    if (best) placements.push({id: request.id, node: best.node, ports: best.ports});
    return best?.node;
  });
}

function everyChoice(ports: readonly Port[]): {container: number; protocol: 'tcp' | 'udp'; host?: number; address?: string}[][] {
  return ports.reduce<{container: number; protocol: 'tcp' | 'udp'; host?: number; address?: string}[][]>(
    (choices, {container, protocol, host, address: on}) => {
      const [from = 0, to = 0] = typeof host === 'string' ? host.split('-').map(Number) : [host ?? 0, host ?? 0];
      const hosts = Array.from({length: to - from + 1}, (_, index) => from + index);
      return choices.flatMap((choice) => hosts.map((each) => [...choice, {container, protocol, host: each, address: on}]));
    },
    [[]],
  );
}

describe('any batch on any cluster', () => {
  it('names who was passed over exactly where a copy was put beside another though a machine has fewer', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 6}), fc.array(fc.boolean(), {minLength: 1, maxLength: 5}), (count, open) => {
        const all = open.map((is, index) => aNode(`n${index}`, is ? {} : {closed: 'is not ready'}));
        const {placements, passedOver} = place(Array.from({length: count}, () => aRequest({revision: 1})), all);
        const together = placements.length > new Set(placements.map(({node}) => node)).size;
        expect(passedOver.map(({node}) => node)).toEqual(together ? all.filter(({closed}) => closed !== undefined).map(({name}) => name) : []);
      }),
    );
  });

  it('answers each request exactly once, and each refusal names every node with a reason', () => {
    fc.assert(
      fc.property(requests, nodes, (asked, all) => {
        const {placements, refusals} = place(asked, all);
        expect([...placements, ...refusals].map(({id}) => id).toSorted()).toEqual(asked.map(({id}) => id).toSorted());
        for (const refusal of refusals) {
          expect(refusal.nodes.map(({node}) => node).toSorted()).toEqual(all.map(({name}) => name).toSorted());
          for (const {reason} of refusal.nodes) expect(reason).not.toBe('');
        }
      }),
    );
  });

  it('never promises more than a node has, and never one host port twice', () => {
    fc.assert(
      fc.property(requests, nodes, (asked, all) => {
        const {placements} = place(asked, all);
        for (const node of all) {
          if (!placements.some((placed) => placed.node === node.name)) continue;
          const before = onNode(node, asked, []);
          const after = onNode(node, asked, placements);
          expect(node.closed).toBeUndefined();
          // A node may have been over its capacity before; a placement of nothing adds nothing to that.
          expect(sum(after, ({memory}) => memory)).toBeLessThanOrEqual(Math.max(node.capacity.memory, sum(before, ({memory}) => memory)));
          expect(sum(after, ({cpu}) => cpu)).toBeLessThanOrEqual(Math.max(node.capacity.cpu, sum(before, ({cpu}) => cpu)));
          expect(after.length).toBeLessThanOrEqual(node.capacity.pods);
          if (!clash(before)) expect(clash(after)).toBe(false);
        }
      }),
    );
  });

  it('takes a port that was asked for', () => {
    fc.assert(
      fc.property(requests, nodes, (asked, all) => {
        for (const {id, ports} of place(asked, all).placements) {
          const wanted = asked.find((request) => request.id === id)?.ports ?? [];
          expect(ports).toHaveLength(wanted.length);
          ports.forEach(({host}, index) => {
            const ask = wanted[index]?.host;
            const [from = 0, to = 0] = typeof ask === 'string' ? ask.split('-').map(Number) : [ask, ask];
            if (ask === undefined) expect(host).toBeUndefined();
            else expect(host).toBeGreaterThanOrEqual(from);
            if (ask !== undefined) expect(host).toBeLessThanOrEqual(to);
          });
        }
      }),
    );
  });

  it('decides as its naive twin does', () => {
    // Where addresses are mixed the greedy choice of ports may refuse what exists; the twin is compared without them.
    const plain = (asked: readonly PlacementRequest[]): PlacementRequest[] => asked.map((request) => ({...request, ports: request.ports.map((each) => ({...each, address: undefined}))}));
    const withoutClashes = (all: readonly NodeView[]): NodeView[] => all.map((node) => {
      const taken = new Set<string>();
      const containers = Object.entries(node.containers).map(([id, each]) => [id, {...each, ports: each.ports.filter(({host, protocol: kind}) => !taken.has(`${host}/${kind}`) && taken.add(`${host}/${kind}`)).map(({host, protocol: kind}) => ({host, protocol: kind}))}] as const);
      return {...node, containers: Object.fromEntries(containers)};
    });
    fc.assert(
      fc.property(requests.map(plain), nodes.map(withoutClashes), (asked, all) => {
        const {placements} = place(asked, all);
        expect(asked.map(({id}) => placements.find((placed) => placed.id === id)?.node)).toEqual(naive(asked, all));
      }),
      {numRuns: 300},
    );
  });

  it('keeps the zones of an app within maxSkew, and never puts two where they must be apart', () => {
    const zoned = fc.array(fc.record({zone: fc.constantFrom('a', 'b', 'c'), pods: fc.integer({min: 1, max: 4}), closed: fc.option(fc.constant('is cordoned'), {nil: undefined, freq: 4})}), {minLength: 1, maxLength: 6})
      .map((all) => all.map(({zone, pods, closed}, index) => aNode(`n${index}`, {labels: {zone}, closed, capacity: {cpu: 8, memory: 8, pods}})));
    fc.assert(
      fc.property(zoned, fc.integer({min: 1, max: 12}), fc.integer({min: 1, max: 3}), fc.boolean(), (all, count, maxSkew, alone) => {
        const asked = Array.from({length: count}, (_, index) => aRequest({id: `w${index}`, spread: [{topology: 'zone', maxSkew}], ...(alone ? {antiAffinity: [{app: 'web', topology: 'node', weight: 50, required: true}]} : {})}));
        const {placements, refusals} = place(asked, all);
        const open = all.filter(({closed}) => closed === undefined);
        const inZone = (zone: string | undefined): number => placements.filter(({node}) => all.find(({name}) => name === node)?.labels['zone'] === zone).length;
        const counts = [...new Set(open.map(({labels}) => labels['zone']))].map(inZone);
        if (counts.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(maxSkew);
        if (alone) expect(new Set(placements.map(({node}) => node)).size).toBe(placements.length);
        // Refused only where no machine is left that the rules would let it on.
        if (refusals.length > 0) {
          for (const {name, labels, capacity} of open) {
            const here = placements.filter(({node}) => node === name).length;
            const full = here >= (alone ? 1 : capacity.pods);
            expect(full || inZone(labels['zone']) + 1 - Math.min(...counts) > maxSkew).toBe(true);
          }
        }
      }),
    );
  });
});
