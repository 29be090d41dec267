export {busContract, type BusFixture} from './contract.ts';
export {lossy, type LossyBus, type LossyOptions} from './lossy.ts';
