/** The writer's thread: takes groups of requests, answers each when it is on disk. */
import {parentPort, workerData} from 'node:worker_threads';
import {DatabaseSync} from 'node:sqlite';
import {configureConnection} from './schema.ts';
import {WriteEngine} from './write-engine.ts';
import type {WriteRequest} from './writer-protocol.ts';

const {path, retainLog}: {path: string; retainLog: number} = workerData;
const port = parentPort;
if (!port) throw new Error('This module runs on a worker thread.');

const db = new DatabaseSync(path);
configureConnection(db);
const engine = new WriteEngine(db, {retainLog});

port.on('message', (group: readonly WriteRequest[] | 'close') => {
  if (group === 'close') {
    db.close();
    port.close();
  } else {
    port.postMessage(engine.apply(group));
  }
});
