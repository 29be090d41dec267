/** Optimistic writes: whoever loses a race reads and decides anew. */
import {isError} from '@hivemind/contracts';

const MAX_RACES = 16;

/** Runs `attempt` until it is not beaten by another writer; it must read all that it decides on itself. Rejects with the last failure. */
export async function untilWon<T>(attempt: () => Promise<T>): Promise<T> {
  for (let races = 1; ; races += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLostRace(error) || races >= MAX_RACES) throw error;
    }
  }
}

function isLostRace(error: unknown): boolean {
  return isError(error, 'version-mismatch') || isError(error, 'already-exists');
}
