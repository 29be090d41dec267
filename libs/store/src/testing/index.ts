/** For tests: the suite every driver passes, and a clock to hold. */
export {storeContract, type ContractStore} from './contract.ts';
export {ManualClock} from './manual-clock.ts';
export {put, Watching, write} from './watching.ts';
