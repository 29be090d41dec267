export {startAgent, type Agent, type AgentOptions} from './agent.ts';
export {startJoinedAgent, type JoinedAgent, type JoinedAgentOptions} from './joined.ts';
export {endSidecar} from './sidecar/end.ts';
export type {RingOptions} from './sidecar/index.ts';
