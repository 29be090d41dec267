/** For tests: the suite every driver passes, and a clock to hold. */
export {put, storeContract, Watching, write, type ContractStore} from './contract.ts';
export {ManualClock} from './manual-clock.ts';
