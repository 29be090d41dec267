export {createGateway, type Gateway, type GatewayOptions} from './gateway.ts';
export {adminToken, adminTokenFile, sharedTokenHash, tokenHash, type SharedTokenOptions} from './admin-token.ts';
export {DEFAULT_LISTEN, transportFor, type TlsMode, type Transport} from './listen.ts';
export {Directory} from './directory.ts';
export {type RemoteManager, type RemoteManagers} from './proxy.ts';
export {destroyAgents, renewAgents, upstreamAgents, type Agents} from './upstream.ts';
export {gatewayErrors} from './errors.ts';
export {Status} from './status.ts';
export {publicKinds, type PublicChange} from './public-change.ts';
