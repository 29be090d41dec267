export {createDiscovery, type Discovery, type DiscoveryOptions} from './discovery.ts';
export {type IngressTarget, MachineIngresses} from './ingress.ts';
export type {NamesPart, NamesTarget} from './hand-on.ts';
export type {EndpointsChange, ReadyEndpoint, ServiceView} from '../model.ts';
