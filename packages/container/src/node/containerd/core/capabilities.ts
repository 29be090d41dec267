/** Capabilities that a container has: the usual set, and what its template adds and drops. Pure. */

/** In the kernel's order; a machine may know fewer. */
export const allCapabilities = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST',
  'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE',
  'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ',
  'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** What container engines agree on giving. */
const usual = ['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'].map((name) => `CAP_${name}`);

/**
 * @param mask The machine's, as in `CapBnd` of /proc: bit n is the n-th of {@link allCapabilities}
 * @throws TypeError naming one that is not known, or that this machine cannot give
 */
export function capabilitiesOf({add = [], drop = []}: {readonly add?: readonly string[]; readonly drop?: readonly string[]}, privileged: boolean, mask: bigint): readonly string[] {
  const has = allCapabilities.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
  const added = add.flatMap((name) => named(name, has));
  for (const name of added) if (!has.includes(name)) throw new TypeError(`this machine cannot give the capability ${name}`);
  const dropped = new Set(drop.flatMap((name) => named(name, has)));
  // What is added by name stays, also where all are dropped.
  const byName = new Set(add.filter((name) => !isAll(name)).flatMap((name) => named(name, has)));
  const base = privileged || add.some(isAll) ? has : usual.filter((name) => has.includes(name));
  return has.filter((name) => byName.has(name) || ((base.includes(name) || added.includes(name)) && !dropped.has(name)));
}

function named(name: string, has: readonly string[]): readonly string[] {
  if (isAll(name)) return has;
  const full = name.toUpperCase().startsWith('CAP_') ? name.toUpperCase() : `CAP_${name.toUpperCase()}`;
  if (!allCapabilities.includes(full)) throw new TypeError(`${name} is not a capability`);
  return [full];
}

function isAll(name: string): boolean {
  return /^(CAP_)?ALL$/i.test(name);
}
