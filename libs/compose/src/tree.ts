/**
 * A YAML document as a tree in which every value remembers where it was written. Interpolation, merging and `extends`
 * work on trees, so that an error found at the end still names the file, line and column a person has to open.
 */

/** Line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `!reset` removes what an earlier file said, `!override` replaces it instead of merging. */
export type MergeMark = 'reset' | 'override';

interface Located {
  readonly at: Position;
  readonly mark?: MergeMark;
}

export interface ScalarTree extends Located {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
}
export interface MapTree extends Located {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, Tree>;
}
export interface ListTree extends Located {
  readonly kind: 'list';
  readonly items: readonly Tree[];
}
export type Tree = ScalarTree | MapTree | ListTree;

export function scalar(value: ScalarTree['value'], at: Position): ScalarTree {
  return {kind: 'scalar', value, at};
}

export function isNull(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.value === null;
}

/** The entry of a map; undefined when `tree` is no map or does not have it. */
export function entry(tree: Tree | undefined, key: string): Tree | undefined {
  return tree?.kind === 'map' ? tree.entries.get(key) : undefined;
}

/** The same map with one entry replaced, or removed when `value` is undefined. */
export function withEntry(map: MapTree, key: string, value: Tree | undefined): MapTree {
  const entries = new Map(map.entries);
  if (value === undefined) entries.delete(key);
  else entries.set(key, value);
  return {...map, entries};
}

/** Every scalar replaced; keys stay. `path` is the scalar's place in the tree. */
export function mapScalars(tree: Tree, change: (scalar: ScalarTree, path: readonly PropertyKey[]) => Tree, path: readonly PropertyKey[] = []): Tree {
  switch (tree.kind) {
    case 'scalar':
      return change(tree, path);
    case 'map':
      return {...tree, entries: new Map([...tree.entries].map(([key, value]) => [key, mapScalars(value, change, [...path, key])]))};
    case 'list':
      return {...tree, items: tree.items.map((item, index) => mapScalars(item, change, [...path, index]))};
  }
}

/** Plain data, for a schema to parse. Objects have no prototype: a key named `__proto__` is a key like any other. */
export function toPlain(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value;
    case 'list':
      return tree.items.map(toPlain);
    case 'map': {
      const object: Record<string, unknown> = Object.create(null);
      for (const [key, value] of tree.entries) object[key] = toPlain(value);
      return object;
    }
  }
}

/** Where `path` was written, or its nearest ancestor that was. */
export function locate(tree: Tree, path: readonly PropertyKey[]): Position {
  const [head, ...rest] = path;
  const next = head === undefined ? undefined : tree.kind === 'list' ? tree.items[Number(head)] : entry(tree, String(head));
  return next === undefined ? tree.at : locate(next, rest);
}

/** A dotted path (`services.web.ports[0]`) back to its parts, by walking the tree: names may hold dots. */
export function pathIn(tree: Tree, dotted: string): readonly PropertyKey[] {
  if (dotted === '') return [];
  const [whole, index] = /^\[(\d+)\]\.?/.exec(dotted) ?? [];
  if (whole !== undefined) {
    const item = tree.kind === 'list' ? tree.items[Number(index)] : undefined;
    return item === undefined ? [dotted] : [Number(index), ...pathIn(item, dotted.slice(whole.length))];
  }
  const keys = tree.kind === 'map' ? [...tree.entries.keys()] : [];
  const matching = keys.filter((name) => dotted === name || dotted.startsWith(`${name}.`) || dotted.startsWith(`${name}[`));
  const key = matching.toSorted((a, b) => b.length - a.length)[0];
  const child = key === undefined ? undefined : entry(tree, key);
  return key === undefined || child === undefined ? [dotted] : [key, ...pathIn(child, dotted.slice(key.length).replace(/^\./, ''))];
}

export function positionText(at: Position): string {
  return `${at.file}:${at.line}:${at.column}`;
}
