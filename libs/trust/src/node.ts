/** The part of trust that a machine needs: its own key. Nothing of the store is loaded. */
export {createKeyPair, keyPairFromSeed, seedOf, sign} from './nkeys.ts';
export {nodeInbox} from './node-permissions.ts';
export {trustErrors} from './errors.ts';
