import {elementLines, presentOf, type Ruleset, transaction} from '../nft/ruleset.ts';
import {Balancer} from './balancer.ts';
import type {BalancedEndpoint, BalancedService} from './compile.ts';

/** Numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

const machine = {node: 'm1', containers: '10.244.0.0/16', virtualIps: ['10.96.0.0/16'], bridge: 'hm0', overlays: ['hm-vx']};

function anyService(random: () => number): BalancedService {
  const index = Math.floor(random() * 6);
  const pick = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const ports = [{port: 80, targetPort: pick(80, 8080), protocol: 'tcp' as const}, {port: 53, targetPort: 53, protocol: 'udp' as const}].slice(0, pick(0, 1, 2));
  return {
    namespace: 'default', name: `app-${index}`, ports, balance: pick('round-robin', 'random', 'weighted', 'ip-hash', undefined), affinity: pick('none', 'client', undefined),
    ...(random() < 0.8 ? {virtualIp: `10.96.0.${index}`} : {}),
    ...(random() < 0.3 ? {published: ports.map((port) => ({...port, port: 9000 + pick(0, 1)}))} : {}),
    endpoints: Array.from({length: Math.floor(random() * 4)}, (_, number) => ({container: `c-${index}-${number}`, node: pick('m1', 'm2'), address: `10.244.${pick(0, 1)}.${index * 4 + number + 2}`, weight: pick(100, 50, 5, 0), ports: ports.slice(0, pick(0, 2, 2)).map(({targetPort, protocol}) => ({port: targetPort, protocol}))})),
  };
}

/** Puts lines of elements into sets, as nft does: what is there is not added, what is not is not deleted. */
function play(lines: readonly string[], sets: Map<string, Map<string, string>>): void {
  for (const line of lines) {
    const [, verb, set = '', body = ''] = /^(add|delete) element ip \w+ (\S+) \{ (.*) \}$/.exec(line) ?? [];
    const own = sets.get(set) ?? new Map<string, string>();
    sets.set(set, own);
    for (const entry of body.split(', ')) {
      const [key = '', value = ''] = entry.split(' : ');
      if (verb === 'delete') {
        if (!own.delete(key)) throw new Error(`${set} has no ${key}`);
      } else if (own.has(key)) throw new Error(`${set} has ${key} already`);
      else own.set(key, value);
    }
  }
}

describe('changes of services', () => {
  it('lead to what the whole says, and name only chains that there are', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomOf(seed);
      const balancer = new Balancer(machine);
      const sets = new Map([...balancer.ruleset().elements].map(([set, own]) => [set, new Map(own)]));
      const chains = new Set(balancer.ruleset().chains.keys());
      const last = new Map<string, BalancedService>();
      for (let step = 0; step < 12; step++) {
        const services = [...new Map(Array.from({length: Math.floor(random() * 3)}, () => anyService(random)).map((service) => [service.name, service])).values()];
        const gone = random() < 0.3 ? [{namespace: 'default', name: `app-${Math.floor(random() * 6)}`}] : [];
        const whole = random() < 0.1;
        if (whole) last.clear();
        for (const {name} of gone) last.delete(name);
        for (const service of services) last.set(service.name, service);
        const change = balancer.apply({services, gone, whole});
        for (const name of change.chains.keys()) chains.add(name);
        const {removals, additions} = elementLines('hivemind', change.elements, (set) => sets.get(set) ?? new Map<string, string>());
        play([...removals, ...additions], sets);
        const all = balancer.ruleset();
        for (const [set, own] of all.elements) expect([seed, set, [...(sets.get(set) ?? [])].toSorted()]).toEqual([seed, set, [...own].toSorted()]);
        expect([...all.chains.keys()].toSorted()).toEqual([...chains].toSorted());
        for (const set of ['frontends', 'any_port']) for (const verdict of (all.elements.get(set) ?? new Map<string, string>()).values()) expect(chains.has(verdict.replace('goto ', ''))).toBe(true);
        expect(transaction(all, presentOf(all))).toBe('');
      }
      // Told at once, or one after another.
      const anew = new Balancer(machine);
      anew.apply({services: [...last.values()], gone: [], whole: true});
      for (const set of ['frontends', 'any_port', 'slots_tcp', 'slots_udp', 'slots_any', 'addresses', 'self']) expect([seed, [...(anew.ruleset().elements.get(set) ?? [])].toSorted()]).toEqual([seed, [...(balancer.ruleset().elements.get(set) ?? [])].toSorted()]);
    }
  });

  it('of one endpoint among thousands touches elements of its service alone', () => {
    const balancer = new Balancer(machine);
    const service = (index: number, endpoints: number): BalancedService => ({
      namespace: 'default', name: `app-${index}`, virtualIp: `10.96.${Math.floor(index / 200)}.${(index % 200) + 1}`, ports: [{port: 80, targetPort: 80, protocol: 'tcp'}],
      endpoints: Array.from({length: endpoints}, (_, number) => ({container: `c-${index}-${number}`, node: 'm1', address: `10.244.${number}.${(index % 200) + 2}`, weight: 100, ports: [{port: 80, protocol: 'tcp'}]})),
    });
    balancer.apply({services: Array.from({length: 2_000}, (_, index) => service(index, 3)), gone: [], whole: true});
    const {elements} = balancer.apply({services: [service(77, 2)], gone: [], whole: false});
    expect(Object.fromEntries([...elements].map(([set, own]) => [set, [...own.keys()]]))).toEqual({any_port: ['10.96.0.78'], slots_any: ['10.96.0.78 . 2'], self: ['10.244.2.79 . 10.244.2.79']});
  });

  it('lead each port of a virtual IP to whom a reader of the service would name', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const service = {...anyService(randomOf(seed)), virtualIp: '10.96.0.1', published: []};
      const balancer = new Balancer(machine);
      balancer.apply({services: [service], gone: [], whole: true});
      const {elements} = balancer.ruleset();
      const weighing = service.endpoints.filter(({weight}) => weight > 0);
      for (const [protocol, port] of [['tcp', 80], ['udp', 53], ['tcp', 443], ['udp', 80]] as const) {
        const declared = service.ports.find((one) => one.protocol === protocol && one.port === port);
        const able = weighing.filter((endpoint) => declared && endpoint.ports.some((one) => one.protocol === protocol && one.port === declared.targetPort));
        const whom = (among: readonly BalancedEndpoint[], to: number): readonly string[] => [...new Set(among.map(({address}) => `${address} . ${to}`))].toSorted();
        // A declared port that nobody has left is no other than one that was never declared.
        expect([seed, protocol, port, ledTo(elements, '10.96.0.1', protocol, port)]).toEqual([seed, protocol, port, declared && able.length > 0 ? whom(able, declared.targetPort) : whom(weighing, port)]);
      }
    }
  });
});

/** Addresses and ports that the rules of the frame would lead to, by what is in the sets. */
function ledTo(elements: Ruleset['elements'], address: string, protocol: string, port: number): readonly string[] {
  const slotsOf = (set: string, key: string): readonly string[] => [...(elements.get(set) ?? [])].filter(([slot]) => slot.startsWith(`${key} . `)).map(([, value]) => value);
  const own = elements.get('frontends')?.has(`${address} . ${protocol} . ${port}`) ?? false;
  const found = own ? slotsOf(`slots_${protocol}`, `${address} . ${port}`) : elements.get('any_port')?.has(address) ? slotsOf('slots_any', address).map((value) => `${value} . ${port}`) : [];
  return [...new Set(found)].toSorted();
}
