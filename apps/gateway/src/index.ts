export {createGateway, type Gateway, type GatewayOptions} from './gateway.ts';
export {adminToken, adminTokenFile} from './admin-token.ts';
export {checkListen, DEFAULT_LISTEN, isLoopback, parseListen, type ListenAddress, type TlsMode} from './listen.ts';
export {gatewayErrors} from './errors.ts';
export {Status} from './status.ts';
export {publicKinds, type PublicChange} from './public-change.ts';
