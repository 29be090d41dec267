/** The part of trust that a machine needs: its own key. Nothing of the store is loaded. */
export {authorityHash} from './authority.ts';
export {parseJoinToken} from './join-token.ts';
export {createKeyPair, keyPairFromSeed, sign, type KeyPair} from './nkeys.ts';
export {nodeInbox} from './node-permissions.ts';
export {trustErrors} from './errors.ts';
