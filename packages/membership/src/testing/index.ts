/** For tests and benches: rings on a network in memory. */
export {defaultConfig, type ProtocolConfig, suspicionBounds} from '../core/config.ts';
export {encodeMetadata} from '../core/metadata.ts';
export {DeathWatch, type FalseDeath, type Pauses, pauseAtRandom, stallAtRandom} from './faults.ts';
export {disagreements, InvariantWatch} from './invariants.ts';
export {memberlistAtRest} from './memberlist.ts';
export {seeded} from './random.ts';
export {type Host, nameOf, type NetworkConditions, type RingOptions, SimulatedRing} from './ring.ts';
