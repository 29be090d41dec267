/** Whether a machine uses addresses for something else that would be the cluster's. Pure. */
import * as z from 'zod';
import {contains, parseCidr} from './cidr.ts';
import {BRIDGE, ROUTE_PROTOCOL, VXLAN, WIREGUARD} from './kernel.ts';

const Routes = z.array(z.object({dst: z.string(), dev: z.string().default(''), protocol: z.string().default('')}));

export interface TakenRange {
  readonly range: string;
  readonly route: string;
  readonly device: string;
}

/**
 * The first route of another's into one of the ranges; undefined: there is none. A route that is wider than a range is no obstacle, as
 * in a network of 10.0.0.0/8: the kernel prefers the narrower one, which is ours.
 * @param routes what `ip -json route show` printed. @throws where that cannot be read
 */
export function takenRange(routes: string, ranges: readonly string[]): TakenRange | undefined {
  const others = Routes.parse(JSON.parse(routes.trim() === '' ? '[]' : routes)).filter(({dev, protocol}) => dev !== BRIDGE && dev !== VXLAN && dev !== WIREGUARD && protocol !== String(ROUTE_PROTOCOL));
  for (const range of ranges) {
    const outer = parseCidr(range);
    const found = outer && others.find(({dst}) => {
      const inner = parseCidr(dst.includes('/') ? dst : `${dst}/32`);
      return inner !== undefined && contains(outer, inner);
    });
    if (found) return {range, route: found.dst, device: found.dev};
  }
  return undefined;
}
