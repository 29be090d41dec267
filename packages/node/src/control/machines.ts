/** Machines as the routes read and change them. */
import {commonErrors, Labels, type Node, type NodeRecord, type Taint} from '@hivemind/contracts';
import {checkMatch, type ManagerContext, recordEvent} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import {type DrainProgress, drainProgress, type OnMachine} from '../core/drain.ts';
import {presentNode} from '../core/present.ts';
import {nodeErrors} from '../errors.ts';
import {appOf, nodes as nodeCollection, type Tables} from './tables.ts';

export type LabelPatch = Readonly<Record<string, string | null>>;

export class Machines {
  readonly #context: Pick<ManagerContext, 'store' | 'now' | 'logger' | 'uid'>;
  readonly #tables: Tables;

  constructor(context: Pick<ManagerContext, 'store' | 'now' | 'logger' | 'uid'>, tables: Tables) {
    this.#context = context;
    this.#tables = tables;
  }

  now(): string {
    return new Date(this.#context.now()).toISOString();
  }

  present({key, value, version}: Stored<NodeRecord>): Node {
    const {status, leases, verdicts, allocations} = this.#tables;
    const drain = value.spec.drain === undefined ? undefined : this.#drainOf(value);
    return presentNode({node: value, version, status: status.get(key)?.value, lease: leases.get(key)?.value, verdict: verdicts.get(key)?.value, allocation: allocations.get(key)?.value, drain}, this.now());
  }

  /** @throws `node-not-found` 404 */
  find(name: string): Stored<NodeRecord> {
    const node = this.#tables.nodes.get(name);
    if (!node) throw nodeErrors['node-not-found'](`There is no node ${name}: GET /nodes lists what there is.`);
    return node;
  }

  /** What is on the machine, in the words of a drain. */
  contents(name: string): readonly OnMachine[] {
    return this.#tables.containers.byIndex('node', name).map(({value: record}) => ({record, status: this.#tables.statuses.get(record.id)?.value.status, mode: appOf(this.#tables, record)?.spec.mode}));
  }

  /** What `edit` makes of it; written only where that differs. A spec that differs is another generation. @throws `node-not-found` 404, `version-mismatch` 412 */
  async change(name: string, expected: number | undefined, edit: (node: NodeRecord) => NodeRecord): Promise<Node> {
    const collection = nodeCollection.in(this.#context.store);
    const before = await collection.get(name);
    if (!before) throw nodeErrors['node-not-found'](`There is no node ${name}: GET /nodes lists what there is.`);
    checkMatch(expected, before.version, `The node ${name}`);
    const after = edit(before.value);
    if (JSON.stringify(after) === JSON.stringify(before.value)) return this.present(before);
    const moved = JSON.stringify(after.spec) !== JSON.stringify(before.value.spec);
    const meta = {...after.meta, generation: after.meta.generation + (moved ? 1 : 0), updatedAt: this.now()};
    const written = await collection.put(name, {...after, meta}, {expect: before});
    // So that who asked reads it.
    await this.#tables.nodes.waitForRevision(written.version);
    return this.present(written);
  }

  event(name: string, reason: string, message: string, type: 'normal' | 'warning' = 'normal'): void {
    recordEvent(this.#context, {namespace: 'default', kind: 'Node', name, type, reason, message, node: name});
  }

  #drainOf(node: NodeRecord): DrainProgress | undefined {
    return drainProgress(node, this.contents(node.name), new Set(this.#tables.volumes.byIndex('node', node.name).map(({key}) => key)));
  }
}

/** @throws `invalid-input` for a label key that is not one, or is the machine's own */
export function mergeLabels(labels: Labels, patch: LabelPatch): Labels {
  const own = Object.keys(patch).find((key) => key.startsWith('hivemind.io/'));
  if (own !== undefined) throw commonErrors['invalid-input'](`The label ${own} is a fact of the machine and cannot be set.`, {errors: [{path: `labels.${own}`, message: 'is a fact of the machine: choose a key without the prefix hivemind.io/'}]});
  const kept = Object.fromEntries(Object.entries({...labels, ...patch}).filter((entry): entry is [string, string] => entry[1] !== null));
  const parsed = Labels.safeParse(kept);
  if (!parsed.success) throw commonErrors['invalid-input']('A label is not valid.', {errors: parsed.error.issues.map(({path, message}) => ({path: ['labels', ...path].join('.'), message}))});
  return parsed.data;
}

/** One taint a key and effect: the later counts. */
export function mergeTaints(taints: readonly Taint[], added: readonly Taint[]): Taint[] {
  const replaced = (taint: Taint): boolean => added.some(({key, effect}) => key === taint.key && effect === taint.effect);
  return [...taints.filter((taint) => !replaced(taint)), ...added];
}

/** As a machine is that takes containers: neither cordoned, drained nor in maintenance. */
export function opened({drain: _, maintenance: __, ...spec}: NodeRecord['spec']): NodeRecord['spec'] {
  return {...spec, unschedulable: false};
}
