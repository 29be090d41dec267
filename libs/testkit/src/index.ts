/** Real servers, ports, directories and waiting for tests. Nothing here is loaded by a product. */
export {waitFor, type WaitOptions} from './wait.ts';
export {freePort} from './port.ts';
export {fromPortZero} from './from-nowhere.ts';
export {tempDir, removeTempDir} from './temp.ts';
export {type TestServer} from './server.ts';
export {startRedis, type RedisOptions, type RedisServer} from './redis.ts';
export {startRedisSet, type RedisSet} from './redis-sentinel.ts';
export {startNats, type NatsOptions, type NatsServer} from './nats.ts';
export {startRegistry, type Registry, type RegistryOptions} from './registry.ts';
export {dockerEngine, startDockerEngine, type DockerEngine, type DockerEngineOptions} from './docker.ts';
export {startContainerd, type Containerd} from './containerd.ts';
export {assembleBusyboxImage, busyboxImage, busyboxImageName, type BusyboxImage} from './busybox.ts';
export {startHivemind, type Answer, type HivemindOptions, type HivemindProcess} from './hivemind.ts';
export {machines, type Machines, type MachinesOptions} from './machines/machines.ts';
export {type CutOff, type Machine, type Outcome, type RunOptions, type Slowness} from './machines/machine.ts';
export {type EngineOptions, type MachineEngine} from './machines/engine.ts';
export {type Endpoint} from './machines/switch.ts';
