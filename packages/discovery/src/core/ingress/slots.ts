/**
 * Places for containers behind a rule. HAProxy takes another container in a place, and another weight, while it runs; another
 * number of places takes a reload. So there are more than are needed, and who has one keeps it. Pure.
 */

/** A container that requests may go to. */
export interface Server {
  readonly container: string;
  readonly address: string;
  readonly port: number;
  /** 1 to 100. */
  readonly weight: number;
}

export type Slots = readonly (Server | null)[];

const FEWEST = 8;

/** Of `wanted` containers: a quarter is spare, and a number that was grown to is kept until it is four times too many. */
export function countOf(wanted: number, before: number): number {
  const needed = 2 ** Math.ceil(Math.log2(Math.max(FEWEST, Math.ceil(wanted * 1.25))));
  return before >= wanted && before <= needed * 4 && before > 0 ? before : needed;
}

export function assign(before: Slots, servers: readonly Server[]): Slots {
  const waiting = new Map(servers.map((server) => [server.container, server]));
  const slots: (Server | null)[] = Array.from({length: countOf(servers.length, before.length)}, () => null);
  for (const [index, slot] of before.entries()) {
    const server = slot === null || index >= slots.length ? undefined : waiting.get(slot.container);
    if (server === undefined) continue;
    slots[index] = server;
    waiting.delete(server.container);
  }
  // Those that were empty before come first: in the others, requests may be under way.
  const empty = [...slots.keys()].filter((index) => slots[index] === null).toSorted((a, b) => Number((before[a] ?? null) !== null) - Number((before[b] ?? null) !== null));
  for (const server of waiting.values()) {
    const index = empty.shift();
    if (index !== undefined) slots[index] = server;
  }
  return slots;
}

/** Of a place in HAProxy. */
export const slotName = (index: number): string => `s${index + 1}`;
