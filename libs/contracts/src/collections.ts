/**
 * Every collection of the store: its name, schema and schema version, as data (`@hivemind/store` binds them). One manager
 * writes each; the others only read.
 */
import * as z from 'zod';
import {AppRecord, AppRevision, ConfigRecord, EventRecord, HostPortRecord, NamespaceRecord, Rollout} from './app.ts';
import {AllocationRecord, AssignmentRecord, ContainerRecord, ContainerStatusRecord, StrangerRecord} from './container.ts';
import {DiscoverySettings, EndpointRecord, ServiceRecord} from './discovery.ts';
import {IngressRecord} from './ingress.ts';
import {NodeBrake, NodeSettings, NodeVerdict} from './node-life.ts';
import {LeaderRecord, MemberRecord} from './membership.ts';
import {NetworkRecord, SubnetsRecord} from './network.ts';
import {NetworkPolicyRecord} from './network-policy.ts';
import {NodeLeaseRecord, NodeRecord, NodeStatusRecord, SecretRecord, VolumeRecord} from './node.ts';
import {ClusterIdentityRecord, GatewayTokenRecord, ServiceInstanceRecord} from './service-instance.ts';
import {BusRevocationsRecord, JoinTokenRecord, NodeIdentityRecord} from './join.ts';
import {TrustRecord} from './trust.ts';

/**
 * Whether the machines may remove what the store does not list (law 12). Collection `cluster`, key: `adoption`. Owner: app;
 * the standalone process writes it once, when it starts on an empty data dir beside containers of an earlier life.
 */
export const AdoptionRecord = z.object({
  held: z.boolean(),
  reason: z.string(),
  since: z.string(),
  /** What a person decided last; it holds for what is reported within a minute of it too. */
  decision: z.object({mode: z.enum(['keep', 'discard']), at: z.string()}).optional(),
});
export type AdoptionRecord = z.infer<typeof AdoptionRecord>;

export const collections = {
  namespaces: {name: 'namespaces', schema: NamespaceRecord, version: 1},
  apps: {name: 'apps', schema: AppRecord, version: 1},
  appRevisions: {name: 'app-revisions', schema: AppRevision, version: 1},
  configs: {name: 'configs', schema: ConfigRecord, version: 1},
  hostPorts: {name: 'host-ports', schema: HostPortRecord, version: 1},
  containers: {name: 'containers', schema: ContainerRecord, version: 1},
  allocations: {name: 'allocations', schema: AllocationRecord, version: 1},
  assignments: {name: 'assignments', schema: AssignmentRecord, version: 1},
  cluster: {name: 'cluster', schema: AdoptionRecord, version: 1},
  strangers: {name: 'strangers', schema: StrangerRecord, version: 1},
  events: {name: 'events', schema: EventRecord, version: 1},
  rollouts: {name: 'rollouts', schema: Rollout, version: 1},
  containerStatus: {name: 'container-status', schema: ContainerStatusRecord, version: 1},
  nodes: {name: 'nodes', schema: NodeRecord, version: 1},
  nodeStatus: {name: 'node-status', schema: NodeStatusRecord, version: 1},
  nodeLeases: {name: 'node-leases', schema: NodeLeaseRecord, version: 1},
  nodeVerdicts: {name: 'node-verdicts', schema: NodeVerdict, version: 1},
  nodeBrake: {name: 'node-brake', schema: NodeBrake, version: 1},
  nodeSettings: {name: 'node-settings', schema: NodeSettings, version: 1},
  members: {name: 'members', schema: MemberRecord, version: 1},
  leader: {name: 'leader', schema: LeaderRecord, version: 1},
  networks: {name: 'networks', schema: NetworkRecord, version: 1},
  subnets: {name: 'subnets', schema: SubnetsRecord, version: 1},
  networkPolicies: {name: 'network-policies', schema: NetworkPolicyRecord, version: 1},
  services: {name: 'services', schema: ServiceRecord, version: 1},
  endpoints: {name: 'endpoints', schema: EndpointRecord, version: 1},
  discoverySettings: {name: 'discovery-settings', schema: DiscoverySettings, version: 1},
  ingresses: {name: 'ingresses', schema: IngressRecord, version: 1},
  volumes: {name: 'volumes', schema: VolumeRecord, version: 1},
  secrets: {name: 'secrets', schema: SecretRecord, version: 1},
  serviceInstances: {name: 'service-instances', schema: ServiceInstanceRecord, version: 1},
  clusterIdentity: {name: 'cluster-identity', schema: ClusterIdentityRecord, version: 1},
  gatewayTokens: {name: 'gateway-tokens', schema: GatewayTokenRecord, version: 1},
  joinTokens: {name: 'join-tokens', schema: JoinTokenRecord, version: 1},
  nodeIdentities: {name: 'node-identities', schema: NodeIdentityRecord, version: 1},
  busRevocations: {name: 'bus-revocations', schema: BusRevocationsRecord, version: 1},
  clusterTrust: {name: 'cluster-trust', schema: TrustRecord, version: 1},
} as const;
