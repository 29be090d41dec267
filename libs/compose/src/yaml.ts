/** YAML text to trees: anchors, aliases and merge keys resolved, duplicate keys refused, every error with line and column. */
import {type Alias, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseAllDocuments, type Document, type YAMLMap} from 'yaml';
import {composeErrors} from './errors.ts';
import {isNull, type MergeMark, type Position, type Tree} from './tree.ts';

/** Aliases of aliases grow without bound ("billion laughs"); no honest file comes near. */
const MOST_NODES = 100_000;

/**
 * All documents of a file; empty ones are left out.
 * @throws `yaml-malformed` (400) with a field error for each place.
 */
export function parseYaml(text: string, file: string): readonly Tree[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {lineCounter: lines, uniqueKeys: true, prettyErrors: false});
  const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
  const at = (offset: number): Position => {
    const {line, col} = lines.linePos(offset);
    return {file, line: Math.max(1, line), column: Math.max(1, col)};
  };
  const wrong = documents.flatMap((document) => document.errors).map((error) => ({at: at(error.pos[0]), message: error.message}));
  if (wrong.length > 0) throw malformed(wrong);
  return documents.flatMap((document) => (document.contents === null ? [] : [new Reader(document, at).read(document.contents)])).filter((tree) => !isNull(tree));
}

function malformed(wrong: readonly {readonly at: Position; readonly message: string}[]) {
  const errors = wrong.map(({at, message}) => ({path: `${at.file}:${at.line}:${at.column}`, message}));
  const first = errors[0];
  return composeErrors['yaml-malformed'](first ? `${first.path} ${first.message}` : 'The file could not be read', {errors});
}

class Reader {
  readonly #document: Document.Parsed;
  readonly #at: (offset: number) => Position;
  #nodes = 0;

  constructor(document: Document.Parsed, at: (offset: number) => Position) {
    this.#document = document;
    this.#at = at;
  }

  read(node: Node, within: readonly Node[] = []): Tree {
    const at = this.#at(node.range?.[0] ?? 0);
    if (++this.#nodes > MOST_NODES) throw malformed([{at, message: `The document has more than ${MOST_NODES} values once its aliases are resolved`}]);
    if (isAlias(node)) return {...this.read(this.#resolve(node, within), [...within, node]), at};
    const mark = markOf(node.tag);
    if (isMap(node)) return {kind: 'map', entries: this.#entries(node, within), at, ...mark};
    if (isSeq(node)) return {kind: 'list', items: node.items.map((item) => this.#child(item, at, within)), at, ...mark};
    if (isScalar(node)) return {kind: 'scalar', value: scalarValue(node.value, node.source), at, ...mark};
    throw malformed([{at, message: 'This is not a value'}]);
  }

  #child(value: unknown, at: Position, within: readonly Node[]): Tree {
    return isNode(value) ? this.read(value, within) : {kind: 'scalar', value: null, at};
  }

  #resolve(alias: Alias, within: readonly Node[]): Node {
    const target = alias.resolve(this.#document);
    const at = this.#at(alias.range?.[0] ?? 0);
    if (target === undefined) throw malformed([{at, message: `There is no anchor &${alias.source} above this alias`}]);
    // An alias inside what its own anchor marks would never end.
    if (within.some((outer) => isAlias(outer) && outer.source === alias.source)) throw malformed([{at, message: `*${alias.source} contains itself`}]);
    return target;
  }

  #entries(map: YAMLMap, within: readonly Node[]): Map<string, Tree> {
    const own = new Map<string, Tree>();
    const merged = new Map<string, Tree>();
    for (const pair of map.items) {
      const key = this.#key(pair);
      const value = this.#child(pair.value, this.#at(isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0), within);
      if (key !== '<<' || !isPlain(pair.key)) {
        own.set(key, value);
        continue;
      }
      // Of several merged maps the first that has a key wins; what the map says itself wins over all.
      for (const source of value.kind === 'list' ? value.items : [value]) {
        if (source.kind !== 'map') throw malformed([{at: source.at, message: 'A merge key (<<) takes a mapping, or a list of mappings'}]);
        for (const [name, inherited] of source.entries) if (!merged.has(name)) merged.set(name, inherited);
      }
    }
    return new Map([...merged, ...own]);
  }

  #key(pair: Pair): string {
    const key = isAlias(pair.key) ? pair.key.resolve(this.#document) : pair.key;
    if (isScalar(key)) return key.value === null ? '' : typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
    throw malformed([{at: this.#at(isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0), message: 'A key is text, not a list or mapping'}]);
  }
}

function isNode(value: unknown): value is Node {
  return isAlias(value) || isMap(value) || isSeq(value) || isScalar(value);
}

function isPlain(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN';
}

function markOf(tag: string | undefined): {readonly mark?: MergeMark} {
  return tag === '!reset' ? {mark: 'reset'} : tag === '!override' ? {mark: 'override'} : {};
}

/** File modes are written `0440`: octal to every Compose there was, decimal to YAML 1.2. Octal is meant. */
function scalarValue(value: unknown, source: string | undefined): string | number | boolean | null {
  if (typeof value === 'number') return source !== undefined && /^0[0-7]+$/.test(source) ? Number.parseInt(source, 8) : value;
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  return source ?? String(value);
}
