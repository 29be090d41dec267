/** Who listens on this machine, in the network namespace of the agent. */
import {open, readFile} from 'node:fs/promises';
import type {HostPort} from '@hivemind/contracts';
import {isPastListeners, listenersOf} from '../core/listeners.ts';

const CHUNK = 64 * 1024;

/** @throws where the kernel does not say */
export async function readListeners(): Promise<readonly HostPort[]> {
  const tables = await Promise.all([readTcp('/proc/net/tcp'), readTcp('/proc/net/tcp6'), readUdp('/proc/net/udp'), readUdp('/proc/net/udp6')]);
  return tables.flat();
}

/** Tens of thousands of connections may follow. */
async function readTcp(path: string): Promise<readonly HostPort[]> {
  await using file = await opened(path);
  if (file === undefined) return [];
  const bytes = Buffer.allocUnsafe(CHUNK);
  let text = '';
  for (;;) {
    const {bytesRead} = await file.read(bytes, 0, CHUNK);
    text += bytes.toString('latin1', 0, bytesRead);
    if (bytesRead === 0 || isPastListeners(text)) return listenersOf(text, 'tcp');
  }
}

async function readUdp(path: string): Promise<readonly HostPort[]> {
  return listenersOf(await readFile(path, 'latin1').catch(unlessMissing) ?? '', 'udp');
}

async function opened(path: string) {
  return open(path).catch(unlessMissing);
}

/** A kernel without IPv6 has no table of it. */
function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
