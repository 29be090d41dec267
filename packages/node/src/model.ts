/** Machines, as other packages may know them. */
export {Node, NodeCapacity, NodePhase, NodeReport, NodeSpec} from '@hivemind/contracts';
export {nodeErrors} from './errors.ts';
