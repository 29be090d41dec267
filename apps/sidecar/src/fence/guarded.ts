/**
 * Which containers of an engine are to be guarded, as their labels say: so one that an agent started in its last moment is known
 * too. Read by hand, since the schemas of the contracts take 10 MB; a test holds it to what they say of the same record.
 */
import type {Guarded} from './plan.ts';

/** As the engine lists it. */
export interface Listed {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

const ORIGIN = 'hivemind.origin';
const NAME = 'hivemind.container';
const UNITS: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000};
const DEFAULT_LEASE = '30s';
const DEFAULT_GRACE = '10s';

/** undefined: it may run on. */
export function guardedOf({id, labels}: Listed): Guarded | undefined {
  const template = member(member(parsed(labels[ORIGIN] ?? ''), 'container'), 'template');
  const fencing = member(template, 'fencing');
  if (member(template, 'singleton') !== true && fencing === undefined) return undefined;
  if (member(fencing, 'onIsolation') === 'keep') return undefined;
  const stop = member(template, 'stop');
  const signal = member(stop, 'signal');
  return {
    id,
    name: labels[NAME] ?? id,
    leaseMs: durationMs(member(fencing, 'lease'), DEFAULT_LEASE),
    graceMs: durationMs(member(stop, 'grace'), DEFAULT_GRACE),
    signal: typeof signal === 'string' ? signal : 'SIGTERM',
  };
}

function durationMs(text: unknown, otherwise: string): number {
  let total = 0;
  for (const [, amount, unit = ''] of String(text ?? otherwise).matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) total += Number(amount) * (UNITS[unit] ?? 0);
  return total;
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
