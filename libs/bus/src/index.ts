export * from './bus.ts';
export {busErrors, errorFromWire, errorToWire} from './errors.ts';
export {MAX_MESSAGE_BYTES, type BusLogger} from './client.ts';
export {createEmbeddedBus, EmbeddedHub, type EmbeddedBusOptions} from './drivers/embedded.ts';
export {connectNatsBus, type CredentialSource, type NatsBusOptions} from './drivers/nats.ts';
export {pushAccount, type PushAccountOptions} from './drivers/nats-account.ts';
export * from './subject.ts';
