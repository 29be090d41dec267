/**
 * Tables and pragmas of the SQLite driver.
 *
 * `log` holds one row a group of transactions that was committed together, keyed by the newest `n` in it: a compact text
 * (see log-codec.ts) instead of a row a change, which is what makes group commit cheap.
 */
import type {DatabaseSync} from 'node:sqlite';

const FORMAT = 1;

const TABLES = `
  CREATE TABLE records (
    collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    created INTEGER NOT NULL, version INTEGER NOT NULL, lease TEXT,
    PRIMARY KEY (collection, key)
  ) WITHOUT ROWID;
  CREATE INDEX records_by_lease ON records (lease) WHERE lease IS NOT NULL;
  CREATE TABLE log (last INTEGER PRIMARY KEY, entries TEXT NOT NULL);
  CREATE TABLE leases (id TEXT PRIMARY KEY, ttl INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, n INTEGER NOT NULL, floor INTEGER NOT NULL);
`;

export function configureConnection(db: DatabaseSync): void {
  // FULL: the write-ahead log is synced at each commit, so what was acknowledged survives a power cut.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 33554432;');
}

/**
 * Makes the tables of a new store. Opening writes nothing when the tables are there, so that a
 * full disk can still be read.
 */
export function prepareDatabase(db: DatabaseSync, newEpoch: string): void {
  configureConnection(db);
  const format = db.prepare('PRAGMA user_version').get()?.user_version;
  if (format === FORMAT) return;
  if (format !== 0) throw new Error(`The database has format ${String(format)}, this release knows ${FORMAT}. Use the release that wrote it, and export.`);
  db.exec('BEGIN IMMEDIATE');
  try {
    db.exec(TABLES);
    db.prepare('INSERT INTO state VALUES (1, ?, 0, 0)').run(newEpoch);
    db.exec(`PRAGMA user_version = ${FORMAT}; COMMIT`);
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

export interface State {
  epoch: string;
  n: number;
  floor: number;
}

export function readState(db: DatabaseSync): State {
  const row = db.prepare('SELECT epoch, n, floor FROM state').get();
  return {epoch: String(row?.epoch), n: Number(row?.n), floor: Number(row?.floor)};
}
