/** Where the sidecar is asked. */
import {join, resolve} from 'node:path';
import type {Session} from '../../session.ts';
import type {Flag} from '../define.ts';

export const socketFlag: Flag = ['--socket <path>', 'the sidecar\'s unix socket (default: sidecar.sock of the data dir)'];

export function socketOf({dataDir, terminal}: Pick<Session, 'dataDir' | 'terminal'>, socket: string | undefined): string {
  return socket === undefined ? join(dataDir, 'sidecar.sock') : resolve(terminal.cwd, socket);
}
