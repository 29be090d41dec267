/** The store: the cluster's memory behind one port, with drivers for SQLite and Redis. See store.ts for what is promised. */
export type * from './store.ts';
export {storeErrors} from './errors.ts';
export {systemClock, type Clock} from './clock.ts';
export {MAX_PAGE, MAX_TRANSACTION_BYTES, MAX_VALUE_BYTES, MAX_WRITES} from './limits.ts';
export {openSqliteStore, type SqliteStoreOptions} from './sqlite.ts';
export {collection, commit, type Collection, type CollectionDefinition, type CollectionOptions, type Listing, type PutOptions, type Stored, type WriteOptions} from './collection.ts';
export {informer, type ChangeListener, type Informer, type InformerOptions} from './informer.ts';
export type {IndexFunction} from './indexed-cache.ts';
export {openRedisStore, type RedisStoreOptions} from './redis.ts';
export {exportStore, importStore, type ImportOptions} from './transfer.ts';
