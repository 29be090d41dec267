/** The machine's own resolvers, as /etc/resolv.conf names them now. */
import {readFileSync, statSync} from 'node:fs';
import {isIP} from 'node:net';
import type {UpstreamAddress} from './upstream.ts';

export const RESOLV_CONF = '/etc/resolv.conf';
/** ms between two looks at the file. */
const LOOK_EVERY_MS = 2_000;

/** Answers what to ask. `own`: where we listen ourselves, which would be a circle. `now`: monotonic ms. */
export function machineResolvers({path = RESOLV_CONF, own, now}: {readonly path?: string; readonly own: () => ReadonlySet<string>; readonly now: () => number}): () => readonly UpstreamAddress[] {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let stamp = '';
  let found: readonly string[] = [];
  return () => {
    if (now() - lookedAt >= LOOK_EVERY_MS) {
      lookedAt = now();
      const current = stampOf(path);
      if (current !== stamp) {
        stamp = current;
        found = readResolvers(path);
      }
    }
    return found.filter((address) => !own().has(address)).map((address) => ({address, port: 53}));
  };
}

function stampOf(path: string): string {
  const {mtimeMs = 0, ino = 0, size = 0} = statSync(path, {throwIfNoEntry: false}) ?? {};
  return `${mtimeMs} ${ino} ${size}`;
}

/** Addresses of the `nameserver` lines; none where there is no such file. */
function readResolvers(path: string): readonly string[] {
  try {
    return [...readFileSync(path, 'utf8').matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, address = '']) => address).filter((address) => isIP(address.replace(/%.*$/, '')) !== 0);
  } catch {
    return [];
  }
}
