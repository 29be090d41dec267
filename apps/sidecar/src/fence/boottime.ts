/** The clock that leases are counted by: ms since the machine started, its sleep included (CLOCK_BOOTTIME). */
import {readFileSync} from 'node:fs';

export interface Boottime {
  /** Of this start of the machine: moments of two starts say nothing of each other. */
  readonly bootId: string;
  /** A multiple of 10, rounded down. */
  readonly ms: number;
}

/** @throws where the system does not tell it: it is then no machine that containers are guarded on */
export function boottime(): Boottime {
  const ms = Math.round(Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000);
  if (!Number.isFinite(ms)) throw new TypeError('/proc/uptime holds no number');
  return {bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(), ms};
}
