/**
 * A table of nftables as data: what should be, what is, and the one transaction from the one to the other.
 *
 * Intuition: what changes often are elements of sets and maps, so they are compared by key and only those that differ are
 * written. Chains change rarely and are small: one that differs is emptied and filled anew. nft prints rules in other words than
 * it was given, so each carries a hash of its own text as its comment, by which it is known again.
 */

export interface Hook {
  readonly type: 'nat' | 'filter';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
}

export interface Chain {
  /** Absent: only what jumps there gets there. */
  readonly hook?: Hook | undefined;
  /** As nft reads them, without a comment. */
  readonly rules: readonly string[];
}

export interface Declaration {
  readonly kind: 'set' | 'map' | 'counter';
  /** What stands between its braces, as in `type ipv4_addr;`. */
  readonly body: string;
}

/** A set's or map's elements: from the key to what it is mapped to; the empty text in a set. */
export type Elements = ReadonlyMap<string, string>;

export interface Ruleset {
  /** Names that nft takes for words of its own (`fwd`, `dup`, `log`) are no names. */
  readonly table: string;
  readonly objects: ReadonlyMap<string, Declaration>;
  readonly chains: ReadonlyMap<string, Chain>;
  readonly elements: ReadonlyMap<string, Elements>;
}

/** What the kernel has of a table, in the same words as far as they can be compared. */
export interface Present {
  /** Names, with their kinds. */
  readonly objects: ReadonlyMap<string, Declaration['kind']>;
  /** By name: its hook in words, and the marks of its rules; the empty text where a rule has none. */
  readonly chains: ReadonlyMap<string, {readonly hook: string; readonly marks: readonly string[]}>;
  readonly elements: ReadonlyMap<string, Elements>;
}

/** A few elements that are to be otherwise; undefined: to be gone. By set, then by key. */
export type ElementChanges = ReadonlyMap<string, ReadonlyMap<string, string | undefined>>;

/** Elements on one line: longer ones read badly where nft complains of one. */
const AT_ONCE = 500;

/** The transaction that makes `present` (undefined: there is no table) into `wanted`; empty where nothing differs. */
export function transaction(wanted: Ruleset, present: Present | undefined): string {
  if (present === undefined) return render(wanted, noTable);
  // What an object is cannot be changed while rules speak of it.
  const moved = [...wanted.objects].some(([name, {kind}]) => (present.objects.get(name) ?? kind) !== kind);
  const hooked = [...wanted.chains].some(([name, {hook}]) => (present.chains.get(name)?.hook ?? hookText(hook)) !== hookText(hook));
  return moved || hooked ? `delete table ip ${wanted.table}\n${render(wanted, noTable)}` : render(wanted, present);
}

/** What the kernel has after `wanted` was applied to it. */
export function presentOf({objects, chains, elements}: Ruleset): Present {
  return {
    objects: new Map([...objects].map(([name, {kind}]) => [name, kind])),
    chains: new Map([...chains].map(([name, {hook, rules}]) => [name, {hook: hookText(hook), marks: rules.map(mark)}])),
    elements: new Map([...elements].map(([name, own]) => [name, new Map(own)])),
  };
}

/** Lines that write some elements over those that there are. @param before what the kernel has of a set */
export function elementLines(table: string, changes: ElementChanges, before: (set: string) => Elements): {readonly removals: readonly string[]; readonly additions: readonly string[]} {
  const removals: string[] = [];
  const additions: string[] = [];
  for (const [set, own] of changes) {
    const has = before(set);
    const gone: string[] = [];
    const come: string[] = [];
    for (const [key, value] of own) {
      const had = has.get(key);
      if (had === value) continue;
      if (had !== undefined) gone.push(key);
      if (value !== undefined) come.push(value === '' ? key : `${key} : ${value}`);
    }
    removals.push(...grouped(gone).map((keys) => `delete element ip ${table} ${set} { ${keys} }`));
    additions.push(...grouped(come).map((keys) => `add element ip ${table} ${set} { ${keys} }`));
  }
  return {removals, additions};
}

const noTable: Present = {objects: new Map(), chains: new Map(), elements: new Map()};
const none: Elements = new Map();

/** Objects and chains come before what names them, and go after it. */
function render(wanted: Ruleset, present: Present): string {
  const {table} = wanted;
  const lines: string[] = present === noTable ? [`add table ip ${table}`] : [];
  for (const [name, {kind, body}] of wanted.objects) {
    if (!present.objects.has(name)) lines.push(body === '' ? `add ${kind} ip ${table} ${name}` : `add ${kind} ip ${table} ${name} { ${body} }`);
  }
  for (const [name, {hook}] of wanted.chains) {
    if (!present.chains.has(name)) lines.push(hook === undefined ? `add chain ip ${table} ${name}` : `add chain ip ${table} ${name} { type ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy accept; }`);
  }
  const goneChains = [...present.chains.keys()].filter((name) => !wanted.chains.has(name));
  const goneObjects = [...present.objects].filter(([name]) => !wanted.objects.has(name));
  const {removals, additions} = elementLines(table, changesBetween(wanted, present), (set) => present.elements.get(set) ?? none);
  lines.push(...removals, ...goneChains.map((name) => `flush chain ip ${table} ${name}`));
  for (const [name, {rules}] of wanted.chains) {
    const marks = present.chains.get(name)?.marks ?? [];
    if (marks.length === rules.length && rules.every((rule, index) => mark(rule) === marks[index])) continue;
    if (marks.length > 0) lines.push(`flush chain ip ${table} ${name}`);
    lines.push(...rules.map((rule) => `add rule ip ${table} ${name} ${rule} comment "${mark(rule)}"`));
  }
  lines.push(...additions, ...goneChains.map((name) => `delete chain ip ${table} ${name}`), ...goneObjects.map(([name, kind]) => `delete ${kind} ip ${table} ${name}`));
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Elements of sets that stay or come; those of sets that go, go with them, but name chains that go too. */
function changesBetween(wanted: Ruleset, present: Present): ElementChanges {
  const changes = new Map<string, Map<string, string | undefined>>();
  for (const set of new Set([...wanted.elements.keys(), ...present.elements.keys()])) {
    const [should, has] = [wanted.elements.get(set) ?? none, present.elements.get(set) ?? none];
    const own = new Map<string, string | undefined>();
    for (const [key, value] of should) if (has.get(key) !== value) own.set(key, value);
    for (const key of has.keys()) if (!should.has(key)) own.set(key, undefined);
    if (own.size > 0) changes.set(set, own);
  }
  return changes;
}

export function hookText(hook: Hook | undefined): string {
  return hook === undefined ? '' : `${hook.type} ${hook.hook} ${hook.priority} accept`;
}

/** By which a rule is known again. */
export function mark(rule: string): string {
  return `hm:${hashOf(rule).toString(16).padStart(8, '0')}`;
}

/** FNV-1a, 32 bits, unsigned. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

function grouped(entries: readonly string[]): readonly string[] {
  return Array.from({length: Math.ceil(entries.length / AT_ONCE)}, (_, index) => entries.slice(index * AT_ONCE, (index + 1) * AT_ONCE).join(', '));
}
