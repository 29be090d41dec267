/**
 * One process opens a store. The lock is an open exclusive transaction on an empty database beside it: a lock of the
 * operating system, which ends with its holder however that dies. The file with the pid only serves the error's text.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import {storeErrors} from '../errors.ts';

const SQLITE_BUSY = 5;

/** Answers how to release it. Throws `store-locked`, or `unavailable` when the file cannot be opened. */
export function lockStore(path: string): () => void {
  const pidFile = `${path}.pid`;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(`${path}.lock`, {timeout: 0});
    // An empty database would be written to by the lock: given something once, it can be locked on a full disk too.
    if (db.prepare('PRAGMA user_version').get()?.user_version === 0) db.exec('PRAGMA user_version = 1');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    if (isSqliteError(error, SQLITE_BUSY)) throw storeErrors['store-locked'](`${path} is open in process ${readPid(pidFile)}. Stop that one first, or use another data dir.`, {cause: error});
    throw storeErrors.unavailable(`${path}.lock cannot be opened: ${String(error)}`, {cause: error});
  }
  try {
    writeFileSync(pidFile, String(process.pid), {mode: 0o600});
  } catch {
    // A full disk must not keep a store from being read.
  }
  const held = db;
  return () => held.close();
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8') || 'unknown';
  } catch {
    return 'unknown';
  }
}

/** Whether it is SQLite's error of this primary code. */
function isSqliteError(error: unknown, code: number): boolean {
  return typeof error === 'object' && error !== null && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === code;
}
