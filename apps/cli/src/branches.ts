/** What the command can do, by branch. */
import type {Command} from 'commander';
import type {Host} from './commands/define.ts';

/** A module, and the commands that it registers. */
export interface Branch {
  readonly commands: Readonly<Record<string, string>>;
  readonly load: () => Promise<{register(parent: Command, host: Host): void}>;
}

/** All that the program of a machine does: it is bundled alone, as it stays in memory on every machine. */
export const agentBranch: Branch = {commands: {agent: 'make this machine a node of a cluster'}, load: () => import('./commands/agent.ts')};

export const branches: readonly Branch[] = [
  {commands: {up: 'start Hivemind on this machine'}, load: () => import('./commands/up.ts')},
  {commands: {service: 'services of the cluster; or run one manager, or a gateway, alone'}, load: () => import('./commands/service.ts')},
  {commands: {bus: 'the NATS that the services of a cluster share'}, load: () => import('./commands/bus.ts')},
  agentBranch,
  {commands: {down: 'stop and remove every container of this data dir\'s cluster; volumes stay'}, load: () => import('./commands/down.ts')},
  {commands: {apply: 'make it so: a Compose file or manifests'}, load: () => import('./commands/apply.ts')},
  {commands: {plan: 'what applying a file would change'}, load: () => import('./commands/plan.ts')},
  {commands: {delete: 'delete what a file describes; volumes stay'}, load: () => import('./commands/delete.ts')},
  {commands: {app: 'apps: deploy, look at, scale, restart, roll back'}, load: () => import('./commands/app.ts')},
  {commands: {ps: 'containers'}, load: () => import('./commands/ps.ts')},
  {commands: {logs: 'what a container, or all of an app, print'}, load: () => import('./commands/logs.ts')},
  {commands: {exec: 'run a command in a container', attach: 'connect to the main process of a container'}, load: () => import('./commands/exec.ts')},
  {commands: {stats: 'what containers use', top: 'the same, refreshed'}, load: () => import('./commands/stats.ts')},
  {commands: {node: 'machines'}, load: () => import('./commands/node.ts')},
  {commands: {membership: 'the sidecar of this machine, and what it knows of the ring'}, load: () => import('./commands/membership.ts')},
  {commands: {deployment: 'rollouts: pause, resume, roll back, abort'}, load: () => import('./commands/deployment.ts')},
  {commands: {network: 'how containers of different machines reach each other'}, load: () => import('./commands/network.ts')},
  {commands: {volume: 'volumes'}, load: () => import('./commands/volume.ts')},
  {commands: {ingress: 'which requests from outside go to which app'}, load: () => import('./commands/ingress.ts')},
  {commands: {policy: 'network policies'}, load: () => import('./commands/policy.ts')},
  {commands: {secret: 'secrets'}, load: () => import('./commands/secret.ts')},
  {commands: {config: 'configs'}, load: () => import('./commands/config.ts')},
  {commands: {image: 'images: list, pull, build'}, load: () => import('./commands/image.ts')},
  {commands: {namespace: 'namespaces'}, load: () => import('./commands/namespace.ts')},
  {commands: {events: 'changes as they happen'}, load: () => import('./commands/events.ts')},
  {commands: {cluster: 'adopt what runs, after a store was lost or put back'}, load: () => import('./commands/cluster.ts')},
  {commands: {store: 'export and import the cluster\'s store'}, load: () => import('./commands/store.ts')},
  {commands: {status: 'how the cluster is', version: 'versions of command and server'}, load: () => import('./commands/status.ts')},
  {commands: {login: 'check a token and keep it', logout: 'forget the token of a server'}, load: () => import('./commands/login.ts')},
  {commands: {completion: 'shell completion'}, load: () => import('./commands/completion.ts')},
];
