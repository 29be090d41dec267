/** The last lines that a container wrote before it ended. */
import type {Runtime} from '@hivemind/runtime';

const LINES = 20;
/** Of each line. */
const CHARACTERS = 1_000;
const DEADLINE_MS = 2_000;

/** @param until RFC 3339: the moment it ended */
export async function readLastLines(runtime: Runtime, runtimeId: string, until: string | undefined, signal: AbortSignal): Promise<readonly string[]> {
  const lines: string[] = [];
  const limited = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  for await (const {line} of runtime.logs(runtimeId, {tail: LINES, until, follow: false}, limited)) lines.push(line.slice(0, CHARACTERS));
  return lines.slice(-LINES);
}
