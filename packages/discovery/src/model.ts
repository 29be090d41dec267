/** What the rooms of this package, and those who use its node half, speak of. */
import type {Balancing, EndpointRecord, NameItem, PublishedPort, ServicePort, ServiceRecord} from '@hivemind/contracts';

/** A point of the store's history, as names travel by it. */
export interface Point {
  readonly epoch: string;
  readonly n: number;
}

export type ServiceFacts = Pick<ServiceRecord, 'headless' | 'domain' | 'aliases' | 'ports' | 'virtualIp' | 'published' | 'balancing' | 'traffic'>;
export type EndpointFacts = Pick<EndpointRecord, 'namespace' | 'service' | 'node' | 'address' | 'ports' | 'revision' | 'ready'>;

/** A container that traffic may go to. */
export interface ReadyEndpoint {
  readonly container: string;
  readonly node: string;
  readonly address: string;
  readonly ports: readonly ServicePort[];
  /** Its part of the traffic beside others of the service: 5 to 100, the heaviest has 100. */
  readonly weight: number;
}

/** A service as a machine is to balance it. */
export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly headless: boolean;
  /** IPv4; absent where there is none. */
  readonly virtualIp?: string | undefined;
  readonly ports: readonly ServicePort[];
  readonly published?: readonly PublishedPort[] | undefined;
  /** Absent: connections take turns. */
  readonly balancing?: Balancing | undefined;
  /** In rotation only, by container. */
  readonly endpoints: readonly ReadyEndpoint[];
  /** Of all its containers, in rotation or not. */
  readonly addresses: readonly string[];
}

/** Services that are otherwise than before, each as it is now, and those that are gone. */
export interface EndpointsChange {
  /** Everything up to here is in what was told. */
  readonly at: Point;
  /** `services` are all there are: whatever else was told before is gone. */
  readonly whole: boolean;
  readonly services: readonly ServiceView[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
}

export type {NameItem};
