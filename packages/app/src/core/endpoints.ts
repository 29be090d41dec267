/** Where an app's published ports are reached: at the machines of its containers, or, where machines lead them on, at any machine. */
import {type AppStatus, type Condition, everyAddress, hostPortsClash, type PublishedPort, type ServiceRecord, type TakenPort} from '@hivemind/contracts';
import type {ContainerView} from '../model.ts';

/** A machine that leads published ports to containers, on whichever machine they are. */
export interface PublishingMachine {
  readonly node: string;
  readonly address: string;
  /** What it leaves to processes of its own. */
  readonly taken: readonly TakenPort[];
}

export interface Publishing {
  readonly machines: readonly PublishingMachine[];
  /** undefined: discovery has not seen the app yet. */
  readonly published: Pick<ServiceRecord, 'published' | 'conditions'> | undefined;
}

type Endpoint = AppStatus['endpoints'][number];
/** Of a port that every machine leads on, so many machines are told of: those that the app has containers on come first. */
const MOST_MACHINES = 16;

/** @param ready containers that are ready */
export function endpointsOf(ready: readonly ContainerView[], {addressOf, publishing}: {readonly addressOf: (node: string) => string | undefined; readonly publishing?: Publishing | undefined}): readonly Endpoint[] {
  const led = publishing === undefined || ready.length === 0 ? [] : ledOn(new Set(ready.map(({record}) => record.node)), publishing);
  const has = new Set(led.map(({address, port}) => `${address}:${port}`));
  return [...led, ...ready.flatMap((view) => ofEngine(view, addressOf)).filter(({address, port}) => !has.has(`${address}:${port}`))];
}

function ledOn(homes: ReadonlySet<string>, {machines, published}: Publishing): readonly Endpoint[] {
  const sorted = [...machines.filter(({node}) => homes.has(node)), ...machines.filter(({node}) => !homes.has(node))];
  return (published?.published ?? []).flatMap((port) => sorted.filter((machine) => leads(machine, port)).slice(0, MOST_MACHINES).map(({node, address}) => ({node, address: port.address ?? address, port: port.port, ...(port.name === undefined ? {} : {name: port.name})})));
}

/** A port at one address is at the machine that has it, or at each, where it is the loopback. */
function leads({address, taken}: PublishingMachine, port: PublishedPort): boolean {
  const here = port.address === undefined || port.address.startsWith('127.') || port.address === address;
  return here && !taken.some((each) => hostPortsClash(hostPort(each), hostPort(port)));
}

const hostPort = ({port, protocol, address}: Pick<PublishedPort, 'port' | 'protocol' | 'address'>) => ({host: port, protocol, ...(address === undefined ? {} : {address})});

/** What the engine of the container's machine has bound. */
function ofEngine({record, status}: ContainerView, addressOf: (node: string) => string | undefined): readonly Endpoint[] {
  return (status?.ports ?? []).flatMap(({host, address, name}) => {
    const bound = everyAddress(address) ? addressOf(record.node) : address;
    if (host === undefined || host === 0 || bound === undefined) return [];
    return [{node: record.node, address: bound, port: host, container: record.id, ...(name === undefined ? {} : {name})}];
  });
}

/** Says that a port is another app's, or left to a process on some machines. */
export function publishedCondition(publishing: Publishing | undefined, since: string): readonly Condition[] {
  if (publishing === undefined) return [];
  const refused = (publishing.published?.conditions ?? []).filter(({type}) => type === 'Published');
  const left = (publishing.published?.published ?? []).flatMap((port) => {
    const nodes = publishing.machines.filter(({taken}) => taken.some((each) => hostPortsClash(hostPort(each), hostPort(port)))).map(({node}) => node);
    return nodes.length === 0 ? [] : [`${port.port}/${port.protocol} is left to a process that listens there on ${nodes.slice(0, MOST_MACHINES).join(', ')}${nodes.length > MOST_MACHINES ? ' …' : ''}`];
  });
  const [first] = refused;
  if (first) return [{...first, message: [...refused.map(({message}) => message), ...left].join('; ')}];
  return left.length === 0 ? [] : [{type: 'Published', status: 'false', reason: 'PortTaken', message: `${left.join('; ')}; the other machines lead it on`, since}];
}
