/**
 * Several files as one, by the rules of the Compose specification: mappings merge, lists append, single values are
 * replaced; commands and health tests are replaced whole; ports, mounts, configs and secrets are known again by what
 * they bind. `!override` replaces, `!reset` removes.
 */
import {deviceTarget} from './devices.ts';
import {mountTarget} from './mounts.ts';
import {portKey} from './ports.ts';
import {entry, isNull, toPlain, type Tree} from './tree.ts';

/** Path pattern → lists that an override replaces rather than extends. */
const replaced = new Set(['services.*.command', 'services.*.entrypoint', 'services.*.healthcheck.test']);

/** Path pattern → what makes two items of a list the same one. */
const identities: Readonly<Record<string, (item: Tree) => string>> = {
  'services.*.ports': (item) => portKey(toPlain(item)),
  'services.*.volumes': (item) => mountTarget(toPlain(item)),
  'services.*.devices': (item) => deviceTarget(toPlain(item)),
  'services.*.configs': (item) => fileTarget(item),
  'services.*.secrets': (item) => fileTarget(item),
  'services.*.env_file': (item) => text(entry(item, 'path')),
};

/** `later` over `earlier`. Both are canonical (see canonical.ts). */
export function mergeFiles(earlier: Tree, later: Tree): Tree {
  return dropMarks(merge(earlier, later, []));
}

/** The same for one service, for `extends`. */
export function mergeService(base: Tree, service: Tree): Tree {
  return dropMarks(merge(base, service, ['services', '*']));
}

function merge(earlier: Tree, later: Tree, path: readonly string[]): Tree {
  if (later.mark !== undefined) return later;
  if (earlier.kind === 'map' && later.kind === 'map') {
    const entries = new Map(earlier.entries);
    for (const [key, value] of later.entries) {
      const before = entries.get(key);
      entries.set(key, before === undefined ? value : merge(before, value, [...path, path.length === 1 ? '*' : key]));
    }
    return {...later, entries};
  }
  if (earlier.kind === 'list' && later.kind === 'list') return mergeLists(earlier.items, later, path.join('.'));
  // Said without a value, as in `environment:` with nothing under it: it says nothing. For one variable it does.
  return isNull(later) && earlier.kind !== 'scalar' ? earlier : later;
}

function mergeLists(earlier: readonly Tree[], later: Extract<Tree, {kind: 'list'}>, pattern: string): Tree {
  if (replaced.has(pattern)) return later;
  const identity = identities[pattern] ?? ((item: Tree) => JSON.stringify(toPlain(item)));
  const items = new Map(earlier.map((item) => [identity(item), item]));
  for (const item of later.items) items.set(identity(item), item);
  return {...later, items: [...items.values()]};
}

function dropMarks(tree: Tree): Tree {
  if (tree.kind === 'scalar') return {...tree, mark: undefined};
  if (tree.kind === 'list') return {...tree, mark: undefined, items: tree.items.filter((item) => item.mark !== 'reset').map(dropMarks)};
  return {...tree, mark: undefined, entries: new Map([...tree.entries].filter(([, value]) => value.mark !== 'reset').map(([key, value]) => [key, dropMarks(value)]))};
}

function fileTarget(item: Tree): string {
  return text(entry(item, 'target') ?? entry(item, 'source'));
}

function text(tree: Tree | undefined): string {
  return tree === undefined ? '' : JSON.stringify(toPlain(tree));
}
