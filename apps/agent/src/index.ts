export {startAgent, type Agent, type AgentOptions} from './agent.ts';
export {startJoinedAgent, type JoinedAgentOptions} from './joined.ts';
