/**
 * Short forms to long ones, and relative paths to absolute ones, so that merging and translating see one shape. The
 * Compose specification allows most lists of `KEY=value` to be mappings and most lists of one to be text.
 */
import {isAbsolute, join, resolve} from 'node:path';
import {entry, isNull, type MapTree, scalar, type Tree, withEntry} from './tree.ts';

/** Where relative paths of a file start, and what `~` is. */
export interface Places {
  readonly directory: string;
  readonly home: string;
}

/** A service with every short form written out, except ports, volumes and commands, which are merged by what they mean. */
export function canonicalService(service: MapTree, places: Places): MapTree {
  let result = service;
  const change = (key: string, shape: (tree: Tree) => Tree): void => {
    const value = entry(result, key);
    if (value !== undefined && !isNull(value) && value.mark !== 'reset') result = withEntry(result, key, shape(value));
  };
  for (const key of ['environment', 'labels', 'sysctls', 'annotations', 'storage_opt']) change(key, pairs);
  change('extra_hosts', hosts);
  change('depends_on', (tree) => names(tree, (at) => ({kind: 'map', entries: new Map([['condition', scalar('service_started', at)]]), at})));
  change('networks', (tree) => names(tree, (at) => scalar(null, at)));
  for (const key of ['dns', 'dns_search', 'tmpfs', 'label_file', 'profiles']) change(key, list);
  for (const key of ['configs', 'secrets']) change(key, (tree) => eachItem(tree, (item) => (item.kind === 'scalar' ? wrap('source', item) : item)));
  change('extends', (tree) => absoluteEntry(tree.kind === 'scalar' ? wrap('service', tree) : tree, 'file', places));
  change('build', (tree) => canonicalBuild(tree.kind === 'scalar' ? wrap('context', tree) : tree, places));
  change('deploy', (tree) => (tree.kind === 'map' ? changed(tree, 'labels', pairs) : tree));
  change('env_file', (tree) => eachItem(list(tree), (item) => absoluteEntry(item.kind === 'scalar' ? wrap('path', item) : item, 'path', places)));
  change('label_file', (tree) => eachItem(tree, (item) => absolute(item, places)));
  change('volumes', (tree) => eachItem(tree, (item) => absoluteMount(item, places)));
  return result;
}

/** A top-level config or secret: its `file` made absolute. */
export function canonicalSource(source: Tree, places: Places): Tree {
  return absoluteEntry(source, 'file', places);
}

/** `include`: a list of `{path: [..]}`, paths absolute. */
export function canonicalInclude(include: Tree, places: Places): Tree {
  return eachItem(include, (item) => {
    const long = item.kind === 'scalar' ? wrap('path', item) : item;
    if (long.kind !== 'map') return long;
    let result: MapTree = long;
    for (const key of ['path', 'env_file']) result = changed(result, key, (tree) => eachItem(list(tree), (path) => absolute(path, places)));
    return changed(result, 'project_directory', (tree) => absolute(tree, places));
  });
}

function canonicalBuild(build: Tree, places: Places): Tree {
  if (build.kind !== 'map') return build;
  // Without a context it is the directory of the file that says so, whoever extends it.
  const whole = entry(build, 'context') === undefined ? withEntry(build, 'context', scalar('.', build.at)) : build;
  let result = changed(whole, 'args', pairs);
  result = changed(result, 'labels', pairs);
  result = changed(result, 'extra_hosts', hosts);
  return changed(result, 'context', (tree) => (tree.kind === 'scalar' && isRemote(String(tree.value)) ? tree : absolute(tree, places)));
}

/** A build context that is fetched rather than read. */
export function isRemote(context: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(context) || context.startsWith('git@') || context.startsWith('github.com/');
}

function changed(map: MapTree, key: string, shape: (tree: Tree) => Tree): MapTree {
  const value = entry(map, key);
  return value === undefined || isNull(value) || value.mark === 'reset' ? map : withEntry(map, key, shape(value));
}

/** `[A=1, B]` → `{A: '1', B: null}`. */
function pairs(tree: Tree): Tree {
  return keyed(tree, (text) => {
    const equals = text.indexOf('=');
    return equals === -1 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
  });
}

/** `[name:address, name=address]` → `{name: address}`; IPv6 addresses may stand in brackets. */
function hosts(tree: Tree): Tree {
  return keyed(tree, (text) => {
    const separator = text.search(/[=:]/);
    return separator === -1 ? [text, null] : [text.slice(0, separator).trim(), text.slice(separator + 1).trim().replace(/^\[(.*)\]$/, '$1')];
  });
}

function keyed(tree: Tree, split: (text: string) => readonly [string, string | null]): Tree {
  if (tree.kind !== 'list') return tree;
  const entries = new Map<string, Tree>();
  for (const item of tree.items) {
    if (item.kind !== 'scalar') return tree;
    const [key, value] = split(String(item.value));
    entries.set(key, scalar(value, item.at));
  }
  return {...tree, kind: 'map', entries};
}

function names(tree: Tree, value: (at: Tree['at']) => Tree): Tree {
  if (tree.kind !== 'list') return tree;
  return {...tree, kind: 'map', entries: new Map(tree.items.map((item) => [item.kind === 'scalar' ? String(item.value) : '', value(item.at)]))};
}

function list(tree: Tree): Tree {
  return tree.kind === 'scalar' ? {kind: 'list', items: [tree], at: tree.at, mark: tree.mark} : tree;
}

function eachItem(tree: Tree, change: (item: Tree) => Tree): Tree {
  return tree.kind === 'list' ? {...tree, items: tree.items.map(change)} : tree;
}

function wrap(key: string, value: Tree): MapTree {
  return {kind: 'map', entries: new Map([[key, value]]), at: value.at, mark: value.mark};
}

function absolute(tree: Tree, places: Places): Tree {
  return tree.kind === 'scalar' && typeof tree.value === 'string' ? {...tree, value: absolutePath(tree.value, places)} : tree;
}

function absoluteEntry(tree: Tree, key: string, places: Places): Tree {
  return tree.kind === 'map' ? changed(tree, key, (value) => absolute(value, places)) : tree;
}

function absolutePath(path: string, {directory, home}: Places): string {
  if (path === '~' || path.startsWith('~/')) return join(home, path.slice(1));
  return isAbsolute(path) ? path : resolve(directory, path);
}

/** Only what begins with `.`, `~` or `/` is a path; anything else names a volume. */
function absoluteMount(item: Tree, places: Places): Tree {
  if (item.kind === 'map') {
    const type = entry(item, 'type');
    return type?.kind === 'scalar' && type.value === 'bind' ? absoluteEntry(item, 'source', places) : item;
  }
  if (item.kind !== 'scalar' || typeof item.value !== 'string') return item;
  const [source = '', ...rest] = item.value.split(':');
  return rest.length > 0 && /^[.~]/.test(source) ? {...item, value: [absolutePath(source, places), ...rest].join(':')} : item;
}
