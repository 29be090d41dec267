/**
 * Places for containers behind a rule. HAProxy takes another container in a place, and another weight, while it runs; another
 * number of places takes a reload. So there are more than are needed. Pure.
 */

/** A container that requests may go to. */
export interface Server {
  readonly address: string;
  readonly port: number;
  /** 1 to 100. */
  readonly weight: number;
}

const FEWEST = 8;

/** Of `wanted` containers: a quarter is spare, and a number that was grown to is kept until it is four times too many. */
export function countOf(wanted: number, before: number): number {
  const needed = 2 ** Math.ceil(Math.log2(Math.max(FEWEST, Math.ceil(wanted * 1.25))));
  return before >= wanted && before <= needed * 4 && before > 0 ? before : needed;
}

/** Whom a rule leads to: an app of a namespace, at its port of a name or number where one is said. */
export interface Target {
  readonly namespace: string;
  readonly app: string;
  readonly port?: string | number | undefined;
}

const appOf = ({app, port}: Target): string => `${app}${port === undefined ? '' : `:${port}`}`;

/** Of a place in HAProxy. The app is part of it: a process from before a reload may have another one in a place of the same number. */
export const placeName = (target: Target, index: number): string => `${appOf(target)}.${index + 1}`;

/** Equal for rules to the same containers. */
export const targetKey = (target: Target): string => `${target.namespace}/${appOf(target)}`;

/** The same of a place that is found in HAProxy. Labels have no dots. */
export const targetOfPlace = (backend: string, place: string): string => `${backend.split('.', 1)[0]}/${place.slice(0, place.lastIndexOf('.'))}`;
