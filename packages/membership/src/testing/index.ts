/** For tests and benches: rings on a network in memory. */
export {seeded} from './random.ts';
export {type Host, nameOf, type NetworkConditions, type RingOptions, SimulatedRing} from './ring.ts';
