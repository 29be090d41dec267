/**
 * Rules of hosts in full by maps, so that a thousand hosts cost a request no more than ten. Where a host's rules ask for headers or
 * cookies too, where a host stands for many, and where there are few, they are tried one after the other instead. Pure.
 */
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import type {IngressRule} from '@hivemind/contracts';
import {withoutSlash} from './claims.ts';

export interface Routed {
  readonly rule: IngressRule;
  readonly backend: string;
}

export interface ByHost<T> {
  /** Paths of whole files, and what is in them. */
  readonly files: ReadonlyMap<string, string>;
  /** Of a frontend: they set `txn.to` where they have a backend for `txn.host` and `txn.path`. */
  readonly lines: readonly string[];
  /** Rules that are in no map, in the order that they came in. */
  readonly others: readonly T[];
}

/** Rules: to try fewer costs less than to look into maps. */
const FEWEST = 16;

const isMapped = ({rule: {headers, cookies}}: Routed): boolean => Object.keys(headers).length + Object.keys(cookies).length === 0;

export const isWild = (host: string | undefined): boolean => host === undefined || host.startsWith('*.');

/** @param routed the one that decides before the other; @param folder of the files, which are named after what is in them */
export function byHost<T extends Routed>(routed: readonly T[], folder: string): ByHost<T> {
  const hosts = Map.groupBy(routed.filter(({rule: {host}}) => !isWild(host)), ({rule: {host}}) => host);
  const mapped = new Set([...hosts.values()].filter((own) => own.every(isMapped)).flat());
  if (mapped.size < FEWEST) return {files: new Map(), lines: [], others: routed};
  const exact = new Map<string, string>();
  const prefix = new Map<string, string>();
  for (const {rule: {host, path, match}, backend} of mapped) {
    const [map, key] = match === 'exact' ? [exact, `${host}${path}`] : [prefix, `${host}${withoutSlash(path)}/`];
    if (!map.has(key)) map.set(key, backend);
  }
  const files = new Map<string, string>();
  const fileOf = (map: ReadonlyMap<string, string>): string => {
    const text = [...map].map(([key, backend]) => `${key} ${backend}\n`).join('');
    const path = join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 40)}.map`);
    files.set(path, text);
    return path;
  };
  // What is sent as a host is anything: one with a slash in it would be taken for a host and part of a path.
  const isHost = 'if !{ var(txn.host) -m sub / }';
  return {
    lines: [
      // The longest that the key begins with. A slash behind it, as behind the map's keys: prefixes are of whole segments.
      ...(prefix.size === 0 ? [] : [`  http-request set-var(txn.to) var(txn.host),concat(,txn.path,/),map_beg(${fileOf(prefix)}) ${isHost}`]),
      // Nothing found leaves what was set.
      ...(exact.size === 0 ? [] : [`  http-request set-var(txn.to) var(txn.host),concat(,txn.path),map_str(${fileOf(exact)}) ${isHost}`]),
    ],
    files,
    others: routed.filter((one) => !mapped.has(one)),
  };
}
