/** The names of a cluster, answered: by the sidecar. Loads no schemas. */
export {Zone, type ZoneOptions} from '../core/zone.ts';
export {Forwarder} from './forwarder.ts';
export {machineResolvers, RESOLV_CONF} from './resolvers.ts';
export {NameServer, type ListenAddress, type NameCounters} from './server.ts';
export {type NameSettings, readItems, readSnapshot, SNAPSHOT_FILE} from './snapshot-file.ts';
