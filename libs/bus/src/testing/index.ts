export {busContract, type BusFixture} from './contract.ts';
