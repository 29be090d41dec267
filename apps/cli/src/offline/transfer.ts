/** The store of a data dir to a file and back, while no server has it open. */
import {createReadStream} from 'node:fs';
import {open, rename, rm} from 'node:fs/promises';
import {exportStore, importStore, openSqliteStore} from '@hivemind/store';

/** Whole or not at all; mode 0600. @throws `store-locked` while a server runs */
export async function exportTo(storePath: string, target: string): Promise<void> {
  const store = await openSqliteStore({path: storePath});
  const partial = `${target}.${process.pid}.part`;
  try {
    await using output = await open(partial, 'w', 0o600);
    for await (const line of exportStore(store)) await output.write(line);
    await output.sync();
    await rename(partial, target);
  } finally {
    await rm(partial, {force: true});
    await store.close();
  }
}

/** @throws `store-locked`, `store-not-empty`, `invalid-export` */
export async function importFrom(storePath: string, source: string, replace: boolean): Promise<void> {
  const store = await openSqliteStore({path: storePath});
  try {
    await importStore(store, createReadStream(source), {replace});
  } finally {
    await store.close();
  }
}
