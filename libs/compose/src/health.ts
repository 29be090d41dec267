/**
 * A Compose health check tells whether a container may be relied on; the engine never restarts one for failing it. So it
 * becomes readiness, and a startup probe that asks more often until it succeeds once, with the patience of `start_period`;
 * never liveness.
 */
import type {AppSpecInput} from '@hivemind/contracts';
import {composeDuration, durationText} from './quantity.ts';
import type {Healthcheck} from './schema.ts';
import type {Scope} from './scope.ts';

type Health = NonNullable<AppSpecInput['health']>;

/** Defaults of the Compose specification, in ms. */
const defaults = {interval: 30_000, timeout: 30_000, retries: 3, startInterval: 5_000} as const;
/** Most failures that a probe may have in a row: the contract's limit. */
const MOST_FAILURES = 1000;

export function readHealth(check: Healthcheck, scope: Scope): Health | undefined {
  if (check.disable === true) return undefined;
  const command = readTest(check.test, scope);
  if (command === undefined) return undefined;
  const duration = (key: 'interval' | 'timeout' | 'start_period' | 'start_interval', otherwise: number): number => {
    const written = check[key];
    if (written === undefined || written === null) return otherwise;
    const milliseconds = composeDuration(written);
    if (milliseconds === undefined) scope.at(key).error(`${JSON.stringify(written)} is not a duration: write a number with its unit, as in 10s or 1m30s`);
    // 0 means the default to the engine.
    return milliseconds === undefined || milliseconds === 0 ? otherwise : milliseconds;
  };
  const interval = duration('interval', defaults.interval);
  const timeout = durationText(duration('timeout', defaults.timeout));
  const startPeriod = duration('start_period', 0);
  const startInterval = Math.max(duration('start_interval', Math.min(interval, defaults.startInterval)), startPeriod / MOST_FAILURES);
  const retries = check.retries === undefined || check.retries === null || check.retries === 0 ? defaults.retries : check.retries;
  return {
    startup: {exec: command, interval: durationText(startInterval), timeout, failures: MOST_FAILURES},
    readiness: {exec: command, interval: durationText(interval), timeout, failures: retries},
  };
}

function readTest(test: Healthcheck['test'], scope: Scope): string[] | undefined {
  if (test === undefined || test === null) {
    scope.unsupported('has no test: the health check inside the image is not read');
    return undefined;
  }
  if (typeof test === 'string') return test.trim() === '' ? undefined : shell(test);
  const [kind, ...rest] = test;
  switch (kind) {
    case undefined:
    case 'NONE':
      return undefined;
    case 'CMD':
      if (rest.length === 0) scope.at('test').error('CMD needs a command after it');
      return rest;
    case 'CMD-SHELL':
      return shell(rest.join(' '));
    default:
      scope.at('test').error(`a list begins with CMD, CMD-SHELL or NONE, not ${JSON.stringify(kind)}`);
      return undefined;
  }
}

function shell(text: string): string[] {
  return ['/bin/sh', '-c', text];
}
