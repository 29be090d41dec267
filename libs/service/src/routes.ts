/** The routes of a server, kept for what a router forgets: hints for the lost, 405 with Allow, and the OpenAPI document. */
import {nearestName} from '@hivemind/contracts';
import type {RouteOptions} from 'fastify';
import {serviceErrors} from './errors.ts';

export class RouteTable {
  readonly #routes: RouteOptions[] = [];

  add(route: RouteOptions): void {
    this.#routes.push(route);
  }

  all(): readonly RouteOptions[] {
    return this.#routes;
  }

  /** What to answer to a request that no route takes: 405 where the path is right, else 404 with the nearest path. */
  refusal(method: string, url: string): Error & {readonly allow?: string} {
    const path = url.split('?', 1)[0] ?? url;
    const methods = [...new Set(this.#routes.filter((route) => matches(route.url, path)).flatMap((route) => route.method))].sort();
    if (methods.length > 0) {
      const allow = methods.join(', ');
      return Object.assign(serviceErrors['method-not-allowed'](`${method} is not possible on ${path}; it takes ${allow}.`), {allow});
    }
    const nearest = this.#nearest(path);
    const hint = nearest === undefined ? 'See /docs for what there is.' : `Did you mean ${nearest}?`;
    return serviceErrors['route-not-found'](`There is no route ${path.slice(0, 200)}. ${hint}`);
  }

  /** The route with the same number of segments whose literal parts are all close to those of `path`. */
  #nearest(path: string): string | undefined {
    const asked = segments(path);
    let best: {url: string; exact: number} | undefined;
    for (const {url} of this.#routes) {
      for (const candidate of [segments(url), segments(url).slice(-asked.length)]) {
        if (candidate.length !== asked.length) continue;
        const exact = closeness(candidate, asked);
        if (exact !== undefined && (best === undefined || exact > best.exact)) best = {url, exact};
      }
    }
    return best?.url;
  }
}

const segments = (path: string): readonly string[] => path.split('/').filter((part) => part !== '');
const isParameter = (segment: string): boolean => segment.startsWith(':') || segment === '*';

/** How many segments are the same, or undefined when one is too different. */
function closeness(candidate: readonly string[], asked: readonly string[]): number | undefined {
  let exact = 0;
  for (const [index, segment] of candidate.entries()) {
    const other = asked[index] ?? '';
    if (segment === other) exact += 1;
    else if (!isParameter(segment) && nearestName(other, [segment]) === undefined) return undefined;
  }
  return exact > 0 || asked.length === 1 ? exact : undefined;
}

function matches(pattern: string, path: string): boolean {
  const wanted = segments(pattern);
  const given = segments(path);
  return wanted.length === given.length && wanted.every((segment, index) => isParameter(segment) || segment === given[index]);
}
