/** The path of a unix socket: taken over from a process that has died, never from one that lives. */
import {once} from 'node:events';
import {lstat, mkdir, unlink} from 'node:fs/promises';
import {createConnection} from 'node:net';
import {dirname, resolve} from 'node:path';
import {sidecarErrors} from '../errors.ts';

/** Of the kernel: 108 bytes with the end mark. */
const LONGEST_PATH = 107;

/**
 * Makes room for a socket at `path`; answers the absolute path.
 * @throws `socket-in-use` 409 when a process serves it; `socket-invalid` 422 when the path is too long or something else is there
 */
export async function claimSocketPath(path: string): Promise<string> {
  const absolute = resolve(path);
  if (Buffer.byteLength(absolute) > LONGEST_PATH) throw sidecarErrors['socket-invalid'](`The path ${absolute} is longer than the ${LONGEST_PATH} bytes that a socket's may have: choose a shorter one with --socket.`);
  await mkdir(dirname(absolute), {recursive: true, mode: 0o700});
  const found = await lstat(absolute).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found) return absolute;
  if (!found.isSocket()) throw sidecarErrors['socket-invalid'](`${absolute} is there and no socket: choose another path with --socket.`);
  if (await answers(absolute)) throw sidecarErrors['socket-in-use'](`A process serves ${absolute}: stop it, or choose another path with --socket.`);
  await unlink(absolute);
  return absolute;
}

async function answers(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}
