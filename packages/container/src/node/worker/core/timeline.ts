/**
 * Law 12: a rewound store wipes nothing. Every container carries the store's revision at which it was made; one that the
 * assignment does not list, and that comes from another epoch or from a revision that the store has not reached, shows
 * that the store lost it rather than decided against it.
 */
import {engineLabels, EngineOrigin} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';

export interface StoreRevision {
  readonly epoch: string;
  readonly n: number;
}

/** The origin that a container's label holds; undefined when it has none that can be read. */
export function originOf(container: RuntimeContainer): EngineOrigin | undefined {
  const label = container.labels[engineLabels.origin];
  if (label === undefined) return undefined;
  try {
    const parsed = EngineOrigin.safeParse(JSON.parse(label));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Unlisted containers that the store at `revision` cannot have decided to remove. */
export function strangersOf(containers: Iterable<RuntimeContainer>, listed: ReadonlySet<string>, revision: StoreRevision): RuntimeContainer[] {
  return [...containers].filter((container) => {
    if (listed.has(container.id)) return false;
    const origin = originOf(container);
    return origin === undefined || origin.epoch !== revision.epoch || origin.n > revision.n;
  });
}
