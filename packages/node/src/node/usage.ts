/** What the machine uses, whoever uses it: from /proc, as the kernel counts. */
import {readFile} from 'node:fs/promises';
import {cpus, freemem, totalmem} from 'node:os';

export interface Usage {
  /** Millicores, between this look and the one before. */
  readonly cpu: number;
  /** Bytes that could not be given to a new process. */
  readonly memory: number;
}

/** Answers the use since it was last asked; the first time, since the machine started. */
export function usageMeter(): () => Promise<Usage> {
  let before = {busy: 0, total: 0};
  return async () => {
    const now = times();
    const [busy, total] = [now.busy - before.busy, now.total - before.total];
    before = now;
    return {cpu: total > 0 ? Math.round((busy / total) * cpus().length * 1000) : 0, memory: totalmem() - (await availableMemory())};
  };
}

/** Of all processors together, in ms. */
function times(): {readonly busy: number; readonly total: number} {
  let busy = 0;
  let total = 0;
  for (const {times: {user, nice, sys, idle, irq}} of cpus()) {
    busy += user + nice + sys + irq;
    total += user + nice + sys + irq + idle;
  }
  return {busy, total};
}

/** Free memory and caches that can be dropped; other systems than Linux know only what is free. */
async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(text) ?? [];
  return kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
}
