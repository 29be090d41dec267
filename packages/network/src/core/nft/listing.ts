/** What `nft -j list table` prints, in the words of a ruleset. Pure. */
import * as z from 'zod';
import type {Present} from './ruleset.ts';

const Named = z.object({name: z.string()});
const WithElements = Named.extend({elem: z.array(z.unknown()).default([])});
const ChainLine = Named.extend({type: z.string().optional(), hook: z.string().optional(), prio: z.number().optional(), policy: z.string().optional()});
const RuleLine = z.object({chain: z.string(), comment: z.string().default('')});
const Listing = z.object({nftables: z.array(z.record(z.string(), z.unknown()))});

const Prefix = z.object({prefix: z.object({addr: z.string(), len: z.number()})});
const Span = z.object({range: z.tuple([z.unknown(), z.unknown()])});
const Concat = z.object({concat: z.array(z.unknown())});
/** An element with what it has beside its key, as a counter or time left. */
const Element = z.object({elem: z.object({val: z.unknown()})});
const Verdict = z.record(z.string(), z.union([z.null(), z.object({target: z.string()})]));

/** @throws where it cannot be read */
export function parseListing(json: string): Present {
  const objects = new Map<string, 'set' | 'map' | 'counter'>();
  const chains = new Map<string, {hook: string; marks: string[]}>();
  const elements = new Map<string, Map<string, string>>();
  for (const line of Listing.parse(JSON.parse(json)).nftables) {
    if (line.set !== undefined) {
      const {name, elem} = WithElements.parse(line.set);
      objects.set(name, 'set');
      elements.set(name, new Map(elem.map((key) => [textOf(key), ''])));
    } else if (line.map !== undefined) {
      const {name, elem} = WithElements.parse(line.map);
      objects.set(name, 'map');
      elements.set(name, new Map(z.array(z.tuple([z.unknown(), z.unknown()])).parse(elem).map(([key, value]) => [textOf(key), valueText(value)])));
    } else if (line.counter !== undefined) {
      objects.set(Named.parse(line.counter).name, 'counter');
    } else if (line.chain !== undefined) {
      const {name, type, hook, prio, policy} = ChainLine.parse(line.chain);
      chains.set(name, {hook: hook === undefined ? '' : `${type} ${hook} ${prio} ${policy}`, marks: []});
    } else if (line.rule !== undefined) {
      const {chain, comment} = RuleLine.parse(line.rule);
      chains.get(chain)?.marks.push(comment);
    }
  }
  return {objects, chains, elements};
}

function textOf(key: unknown): string {
  if (typeof key === 'string' || typeof key === 'number') return String(key);
  const concat = Concat.safeParse(key);
  if (concat.success) return concat.data.concat.map(textOf).join(' . ');
  const prefix = Prefix.safeParse(key);
  if (prefix.success) return `${prefix.data.prefix.addr}/${prefix.data.prefix.len}`;
  const span = Span.safeParse(key);
  if (span.success) return span.data.range.map(textOf).join('-');
  return textOf(Element.parse(key).elem.val);
}

function valueText(value: unknown): string {
  const verdict = Verdict.safeParse(value);
  if (!verdict.success) return textOf(value);
  const [[word = '', more = null] = []] = Object.entries(verdict.data);
  return more === null ? word : `${word} ${more.target}`;
}
