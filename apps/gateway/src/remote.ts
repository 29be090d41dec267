/** For hosts of a gateway whose managers are services of their own. Loaded by nobody else. */
export {Directory} from './directory.ts';
export {destroyAgents, renewAgents, upstreamAgents, type Agents} from './upstream.ts';
