/**
 * One transaction that changes what should run where: containers, what each node has promised and what it is assigned,
 * guarded by the versions of all that the decision was based on. It holds whole, or not at all.
 */
import {requestedAmounts, type AllocationRecord, type AssignmentRecord, type ContainerRecord} from '@hivemind/contracts';
import type {Compare, Stored, Transaction, Write} from '@hivemind/store';
import {allocations, assignments, containers, nodeLeases} from './collections.ts';
import type {ClusterView} from './view.ts';

export type Allocated = AllocationRecord['containers'][string];

/** What a container takes of its node for as long as its record is there. */
export function allocatedBy({template, ports, namespace, app, revision}: Pick<ContainerRecord, 'template' | 'ports' | 'namespace' | 'app' | 'revision'>): Allocated {
  return {
    ...requestedAmounts(template),
    ports: ports.flatMap(({host, protocol, address}) => (host === undefined || host === 0 ? [] : [{host, protocol, ...(address === undefined ? {} : {address})}])),
    namespace,
    app,
    revision,
  };
}

interface NodeDraft {
  readonly allocation: Stored<AllocationRecord> | undefined;
  readonly assignment: Stored<AssignmentRecord> | undefined;
  readonly allocated: Map<string, Allocated>;
  readonly assigned: Map<string, {id: string; generation: number}>;
  allocationMoved: boolean;
  assignmentMoved: boolean;
}

/** Gathers changes against one reading of the view. */
export class PlacementCommit {
  readonly #view: ClusterView;
  readonly #compare: Compare[] = [];
  readonly #writes: Write[] = [];
  readonly #nodes = new Map<string, NodeDraft>();
  readonly #unheard = new Set<string>();

  constructor(view: ClusterView) {
    this.#view = view;
  }

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  /** The decision depends on this too. */
  require(...compare: readonly Compare[]): void {
    this.#compare.push(...compare);
  }

  /** The decision holds only while the node has no session. */
  requireUnheard(node: string): void {
    if (this.#unheard.has(node)) return;
    this.#unheard.add(node);
    this.#compare.push(nodeLeases.absent(node));
  }

  write(...writes: readonly Write[]): void {
    this.#writes.push(...writes);
  }

  /** A new container, on its node from now on. */
  create(record: ContainerRecord): void {
    this.#compare.push(containers.absent(record.id));
    this.#writes.push(containers.putting(record.id, record));
    const node = this.#node(record.node);
    node.allocated.set(record.id, allocatedBy(record));
    node.assigned.set(record.id, {id: record.id, generation: record.generation});
    node.allocationMoved = true;
    node.assignmentMoved = true;
  }

  /** Its node is to stop and remove it; it keeps its room until it is forgotten. */
  remove(stored: Stored<ContainerRecord>, removedAt: string): void {
    this.#compare.push(containers.unchanged(stored));
    this.#writes.push(containers.putting(stored.key, {...stored.value, removedAt}, {previous: stored}));
    const node = this.#node(stored.value.node);
    node.assignmentMoved = node.assigned.delete(stored.key) || node.assignmentMoved;
  }

  /** It is gone: its record goes, and its room is free. */
  forget(stored: Stored<ContainerRecord>): void {
    this.#compare.push(containers.unchanged(stored));
    this.#writes.push(containers.deleting(stored.key));
    const node = this.#node(stored.value.node);
    node.assignmentMoved = node.assigned.delete(stored.key) || node.assignmentMoved;
    node.allocationMoved = node.allocated.delete(stored.key) || node.allocationMoved;
  }

  /** Version of the allocation record that this commit would replace; 0: there is none. */
  allocationVersion(node: string): number {
    return this.#node(node).allocation?.version ?? 0;
  }

  /** What to transact, and whose assignment it moves. */
  finish(): {readonly transaction: Transaction; readonly nodes: readonly string[]} {
    const compare = [...this.#compare];
    const writes = [...this.#writes];
    const moved: string[] = [];
    for (const [name, draft] of this.#nodes) {
      if (draft.allocationMoved) {
        compare.push(draft.allocation ? allocations.unchanged(draft.allocation) : allocations.absent(name));
        writes.push(allocations.putting(name, {node: name, containers: Object.fromEntries(draft.allocated)}, {previous: draft.allocation}));
      }
      if (draft.assignmentMoved) {
        compare.push(draft.assignment ? assignments.unchanged(draft.assignment) : assignments.absent(name));
        writes.push(assignments.putting(name, {node: name, containers: [...draft.assigned.values()]}, {previous: draft.assignment}));
        moved.push(name);
      }
    }
    return {transaction: {compare, writes}, nodes: moved};
  }

  #node(name: string): NodeDraft {
    let draft = this.#nodes.get(name);
    if (!draft) {
      const allocation = this.#view.allocations.get(name);
      const assignment = this.#view.assignments.get(name);
      draft = {
        allocation,
        assignment,
        allocated: new Map(Object.entries(allocation?.value.containers ?? {})),
        assigned: new Map(assignment?.value.containers.map((entry) => [entry.id, entry])),
        allocationMoved: false,
        assignmentMoved: false,
      };
      this.#nodes.set(name, draft);
    }
    return draft;
  }
}
