/** Whether what there is, is what was asked for. Pure. */
import type {EngineContainer} from '../engines.ts';
import type {WantedApp} from './model.ts';

/** An app as the API answers it. */
export interface FoundApp {
  readonly name: string;
  readonly replicas: number;
  readonly version: number;
  readonly phase: string;
  readonly ready: number;
}

/** A container as the API answers it. */
export interface FoundContainer {
  readonly id: string;
  readonly app: string;
  readonly node: string;
  readonly runtimeId: string | undefined;
}

export interface Found {
  readonly apps: readonly FoundApp[];
  readonly containers: readonly FoundContainer[];
  readonly engines: readonly EngineContainer[];
  /** By its name, why a machine does not take work. */
  readonly unready: ReadonlyMap<string, string>;
}

/** What is not as it should be, in words; none: the cluster has converged. */
export function discrepancies(wanted: ReadonlyMap<string, WantedApp>, {apps, containers, engines, unready}: Found): readonly string[] {
  const found = new Map(apps.map((app) => [app.name, app]));
  return [
    ...[...unready].map(([node, why]) => `machine ${node} is not ready: ${why}`),
    ...apps.filter(({name}) => !wanted.has(name)).map(({name}) => `app ${name} was deleted, and is there`),
    ...[...wanted.values()].flatMap((app) => {
      const there = found.get(app.name);
      if (!there) return [`app ${app.name} is gone`];
      return [...lostChanges(app, there), ...miscounts(app, there, engines), ...outdated(app, engines)];
    }),
    ...engines.filter(({app}) => !wanted.has(app)).map(({id, node, state}) => `orphan: ${id} on ${node}, ${state}, of an app that is not there`),
    ...strays(containers, engines),
  ];
}

/** An acknowledged change that does not hold. */
export function lostChanges(wanted: WantedApp, found: Pick<FoundApp, 'replicas' | 'version'>): readonly string[] {
  return (['replicas', 'version'] as const).filter((field) => wanted[field] !== found[field]).map((field) => `app ${wanted.name} has ${field} ${found[field]}, acknowledged was ${wanted[field]}`);
}

function miscounts({name, replicas}: WantedApp, {phase, ready}: FoundApp, engines: readonly EngineContainer[]): readonly string[] {
  const own = engines.filter(({app}) => app === name);
  const running = own.filter((container) => container.running).length;
  return [
    ...(phase === 'running' && ready === replicas ? [] : [`app ${name} is ${phase} with ${ready} ready of ${replicas}`]),
    ...(own.length === replicas && running === replicas ? [] : [`app ${name}: ${running} run of ${own.length} on the engines, asked are ${replicas} (${own.map(({id, node, state}) => `${id} on ${node} ${state}`).join(', ')})`]),
  ];
}

/** Containers of another version than the acknowledged. */
function outdated({name, version}: WantedApp, engines: readonly EngineContainer[]): readonly string[] {
  return engines.filter(({app, env}) => app === name && !env.includes(`VERSION=${version}`)).map(({id, node}) => `app ${name}: ${id} on ${node} is not of version ${version}`);
}

/** The control plane's list and the engines' are one. */
function strays(containers: readonly FoundContainer[], engines: readonly EngineContainer[]): readonly string[] {
  const listed = new Set(containers.map(({id, node}) => `${id} on ${node}`));
  const there = new Set(engines.map(({id, node}) => `${id} on ${node}`));
  return [
    ...[...there].filter((each) => !listed.has(each)).map((each) => `orphan: ${each} is not known to the control plane`),
    ...[...listed].filter((each) => !there.has(each)).map((each) => `${each} is listed, and no engine has it`),
  ];
}
