/**
 * Every manager of this release: how it is loaded, and the first path segments under /api/v1 that it answers. A gateway
 * proxies by these, also while none of a manager's instances is there; a test holds them against the managers' own routes.
 */
import type {CreateManager} from '@hivemind/service';

export interface ManagerEntry {
  /** As in `/api/v1/<segment>/…`. */
  readonly segments: readonly string[];
  /** Routes that need no token, as in `POST /nodes/join`: they ask for something else. */
  readonly open?: readonly string[];
  readonly load: () => Promise<CreateManager>;
}

export const catalogue = {
  app: {segments: ['apps', 'cluster', 'configs', 'namespaces'], load: async () => (await import('@hivemind/app/control')).createAppManager},
  deployment: {segments: ['deployments'], load: async () => (await import('@hivemind/deployment/control')).createDeploymentManager},
  scheduler: {segments: ['scheduler'], load: async () => (await import('@hivemind/scheduler/control')).createSchedulerManager},
  node: {segments: ['nodes'], open: ['GET /nodes/authority', 'POST /nodes/:name/credentials', 'POST /nodes/join'], load: async () => (await import('@hivemind/node/control')).createNodeManager},
  membership: {segments: ['leader', 'members'], load: async () => (await import('@hivemind/membership/control')).createMembershipManager},
  discovery: {segments: ['discovery', 'ingresses', 'services'], load: async () => (await import('@hivemind/discovery/control')).createDiscoveryManager},
  container: {segments: ['containers', 'images'], load: async () => (await import('@hivemind/container/control')).createContainerManager},
  storage: {segments: ['volumes', 'volume-drivers'], load: async () => (await import('@hivemind/storage/control')).createStorageManager},
  network: {segments: ['networks', 'network-policies'], load: async () => (await import('@hivemind/network/control')).createNetworkManager},
  health: {segments: ['health'], load: async () => (await import('@hivemind/health/control')).createHealthManager},
  security: {segments: ['secrets'], load: async () => (await import('@hivemind/security/control')).createSecurityManager},
} as const satisfies Readonly<Record<string, ManagerEntry>>;

export type ManagerName = keyof typeof catalogue;

export const isManagerName = (name: string): name is ManagerName => Object.hasOwn(catalogue, name);

/** All of them, loaded side by side. */
export async function loadManagers(): Promise<readonly CreateManager[]> {
  return Promise.all(Object.values(catalogue).map(({load}) => load()));
}
