/** Which apps an app waits for, and whether apps wait for each other in a circle. */
import type {AppSpec} from '@hivemind/contracts';
import type {AppView, Waiting} from '../model.ts';
import {isFinished, isLive, isReady} from './containers.ts';

/** The dependencies that do not hold. `view` answers an app of the same namespace. */
export function unmetDependencies(dependsOn: AppSpec['dependsOn'], view: (app: string) => AppView): readonly Waiting[] {
  return Object.entries(dependsOn).flatMap(([app, condition]) => {
    const message = unmet(app, condition, view(app));
    return message === undefined ? [] : [{app, message}];
  });
}

function unmet(name: string, condition: 'started' | 'healthy' | 'completed', {app, containers}: AppView): string | undefined {
  if (app === undefined || app.deletedAt !== undefined) return `app ${name} does not exist`;
  if (app.stopped) return `app ${name} is stopped`;
  const own = containers.filter((container) => isLive(container) && container.record.appUid === app.meta.uid);
  const desired = app.spec.replicas;
  const count = (holds: (container: AppView['containers'][number]) => boolean): number => own.filter(holds).length;
  switch (condition) {
    case 'started': {
      const started = count(({status}) => status?.startedAt !== undefined);
      return started >= Math.min(desired, 1) ? undefined : `no container of app ${name} has started`;
    }
    case 'healthy': {
      const ready = count(isReady);
      return ready >= desired ? undefined : `${ready} of ${desired} replicas of app ${name} are ready`;
    }
    case 'completed': {
      const finished = count(isFinished);
      return finished >= desired ? undefined : `${finished} of ${desired} runs of app ${name} have completed`;
    }
  }
}

/** The circle that `name` would be in, as the names on it (`a, b, a`); undefined when there is none. */
export function dependencyCircle(name: string, dependsOn: readonly string[], dependenciesOf: (app: string) => readonly string[]): readonly string[] | undefined {
  const visited = new Set<string>();
  const search = (app: string, path: readonly string[]): readonly string[] | undefined => {
    if (app === name) return [...path, app];
    if (visited.has(app)) return undefined;
    visited.add(app);
    for (const next of dependenciesOf(app)) {
      const found = search(next, [...path, app]);
      if (found) return found;
    }
    return undefined;
  };
  for (const next of dependsOn) {
    const found = search(next, [name]);
    if (found) return found;
  }
  return undefined;
}
