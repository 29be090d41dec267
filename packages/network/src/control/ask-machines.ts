/** What the machines say of their part of the network. */
import {type Bus, call} from '@hivemind/bus';
import {getOverlay, isError, type OverlayStatus} from '@hivemind/contracts';
import type {Tables} from './tables.ts';

/** Machines asked at once. */
const AT_ONCE = 64;

/** By name. `silent`: a machine that does not answer, or whose agent does not know the question. */
export async function askMachines(bus: Bus, {nodes}: Pick<Tables, 'nodes'>): Promise<{readonly items: OverlayStatus[]; readonly silent: string[]}> {
  const items: OverlayStatus[] = [];
  const silent: string[] = [];
  const queue = nodes.list().map(({key}) => key);
  const askNext = async (): Promise<void> => {
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      const answer = await call(bus, getOverlay, {node}, {}).catch(absent);
      if (answer === undefined) silent.push(node);
      else items.push(answer);
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, askNext));
  return {items: items.toSorted((a, b) => (a.node < b.node ? -1 : 1)), silent: silent.toSorted()};
}

function absent(error: unknown): undefined {
  if (['no-responders', 'timeout', 'disconnected', 'invalid-reply'].some((code) => isError(error, code))) return undefined;
  throw error;
}
