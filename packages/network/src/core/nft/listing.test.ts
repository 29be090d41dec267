import {parseListing} from './listing.ts';
import {mark, type Ruleset, transaction} from './ruleset.ts';

const wanted: Ruleset = {
  table: 't',
  objects: new Map([['m', {kind: 'map', body: 'type ipv4_addr : verdict;'}], ['s', {kind: 'set', body: 'type ipv4_addr; flags interval;'}]]),
  chains: new Map([['in', {hook: {type: 'filter', hook: 'forward', priority: -10}, rules: ['ip saddr vmap @m', 'ip daddr @s drop']}], ['x', {rules: ['drop']}]]),
  elements: new Map([['m', new Map([['10.0.0.1', 'goto x']])], ['s', new Map([['10.1.0.0/16', '']])]]),
};

/** As nft 1.0.6 prints the table above. */
const listed = (change: {readonly rules?: readonly string[]; readonly ranges?: readonly unknown[]; readonly priority?: number} = {}): string => {
  const {rules = ['ip saddr vmap @m', 'ip daddr @s drop'].map(mark), ranges = [{prefix: {addr: '10.1.0.0', len: 16}}], priority = -10} = change;
  return JSON.stringify({nftables: [
    {metainfo: {version: '1.0.6'}},
    {table: {family: 'ip', name: 't', handle: 1}},
    {map: {family: 'ip', name: 'm', table: 't', type: 'ipv4_addr', handle: 1, map: 'verdict', elem: [['10.0.0.1', {goto: {target: 'x'}}]]}},
    {set: {family: 'ip', name: 's', table: 't', type: 'ipv4_addr', handle: 2, flags: ['interval'], elem: ranges}},
    {chain: {family: 'ip', table: 't', name: 'in', handle: 3, type: 'filter', hook: 'forward', prio: priority, policy: 'accept'}},
    {chain: {family: 'ip', table: 't', name: 'x', handle: 4}},
    ...rules.map((comment, handle) => ({rule: {family: 'ip', table: 't', chain: 'in', handle, ...(comment === '' ? {} : {comment}), expr: []}})),
    {rule: {family: 'ip', table: 't', chain: 'x', handle: 9, comment: mark('drop'), expr: [{drop: null}]}},
  ]});
};

describe('a table and what nft lists of it', () => {
  it('is left alone where nothing differs', () => {
    expect(transaction(wanted, parseListing(listed()))).toBe('');
  });

  it('is made from nothing with what is named before what names it', () => {
    expect(transaction(wanted, undefined).split('\n')).toEqual([
      'add table ip t',
      'add map ip t m { type ipv4_addr : verdict; }',
      'add set ip t s { type ipv4_addr; flags interval; }',
      'add chain ip t in { type filter hook forward priority -10; policy accept; }',
      'add chain ip t x',
      `add rule ip t in ip saddr vmap @m comment "${mark('ip saddr vmap @m')}"`,
      `add rule ip t in ip daddr @s drop comment "${mark('ip daddr @s drop')}"`,
      `add rule ip t x drop comment "${mark('drop')}"`,
      'add element ip t m { 10.0.0.1 : goto x }',
      'add element ip t s { 10.1.0.0/16 }',
      '',
    ]);
  });

  it('gets only the chain that lost or gained a rule', () => {
    for (const rules of [[], [mark('ip saddr vmap @m')], ['', ''], [mark('ip saddr vmap @m'), mark('ip daddr @s drop'), '']]) {
      const lines = transaction(wanted, parseListing(listed({rules}))).trim().split('\n');
      expect(lines.filter((line) => !line.includes(' ip t in'))).toEqual([]);
      expect(lines.filter((line) => line.startsWith('add rule'))).toHaveLength(2);
    }
  });

  it('gets only the elements that differ', () => {
    expect(transaction(wanted, parseListing(listed({ranges: ['10.9.0.1', {range: ['10.2.0.0', '10.2.0.9']}]}))).split('\n')).toEqual(['delete element ip t s { 10.9.0.1, 10.2.0.0-10.2.0.9 }', 'add element ip t s { 10.1.0.0/16 }', '']);
  });

  it('is made anew, at once, where a chain hangs elsewhere', () => {
    expect(transaction(wanted, parseListing(listed({priority: 0})))).toMatch(/^delete table ip t\nadd table ip t\n/);
  });

  it('drops chains and objects only when nothing names them any more', () => {
    const less: Ruleset = {...wanted, objects: new Map([...wanted.objects].slice(1)), chains: new Map([['in', {...wanted.chains.get('in')!, rules: ['ip daddr @s drop']}]]), elements: new Map([...wanted.elements].slice(1))};
    expect(transaction(less, parseListing(listed())).trim().split('\n')).toEqual([
      'delete element ip t m { 10.0.0.1 }', 'flush chain ip t x', 'flush chain ip t in',
      `add rule ip t in ip daddr @s drop comment "${mark('ip daddr @s drop')}"`,
      'delete chain ip t x', 'delete map ip t m',
    ]);
  });
});
