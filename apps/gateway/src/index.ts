export {createGateway, type Gateway, type GatewayOptions} from './gateway.ts';
export {adminToken, adminTokenFile, sharedTokenHash, tokenHash, type SharedTokenOptions} from './admin-token.ts';
export {DEFAULT_LISTEN, transportFor, type TlsMode, type Transport} from './listen.ts';
export type {RemoteManager, RemoteManagers} from './proxy.ts';
export {gatewayErrors} from './errors.ts';
export {Status} from './status.ts';
export {publicKinds, type PublicChange} from './public-change.ts';
