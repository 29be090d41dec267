export {createWorker, type Worker, type WorkerOptions} from './worker.ts';
export type {Session} from './session.ts';
export {dataDirLabel, engineName, networkName, shortCluster} from './runtime-spec.ts';
export {workerErrors} from './errors.ts';
export {createConfiguration, type Configuration, type ConfigurationOptions} from './configuration/hook.ts';
export {openSecrets} from './configuration/secrets.ts';
export {configurationErrors} from './configuration/errors.ts';
