export {startAgent, type Agent, type AgentOptions} from './agent.ts';
export {startJoinedAgent, type JoinedAgent, type JoinedAgentOptions} from './joined.ts';
export {earlierLives, type EngineOptions, likelyEngines, openRuntime} from './engine.ts';
export {networklessBecause} from './first-network.ts';
export {endSidecar} from './sidecar/end.ts';
export type {RingOptions} from './sidecar/index.ts';
export {readRegistries, type RegistrySettings, type Retention} from '@hivemind/container/node';
