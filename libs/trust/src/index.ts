/** Who may speak: the cluster's authority and key, certificates, join tokens, credentials of the bus. */
export {authorityHash, createAuthority, issueCertificate, renewAt, type Authority, type AuthorityOptions, type CertificateRequest, type IssuedCertificate} from './authority.ts';
export {openBusTrust, type BusCredentials, type BusTrust, type UserRequest} from './bus-trust.ts';
export {openClusterTrust, type ClusterTrust} from './cluster-trust.ts';
export {openClusterAuthority, type ClusterTrustOptions} from './cluster-authority.ts';
export {writeBusServer, type BusServerOptions} from './bus-server.ts';
export {clusterKeyFile, openClusterKey} from './cluster-key.ts';
export {isSecret, newJoinToken, parseJoinToken, secretHash, type JoinTokenParts} from './join-token.ts';
export {hasTrust} from './keepsake.ts';
export {natsServerConfig, type NatsConfigOptions} from './nats-config.ts';
export {isSignedBy, isUserKey} from './nkeys.ts';
export {serviceCredentials, type ServiceCredentials} from './service-credentials.ts';
export {nodeInbox, nodePermissions, type Permissions} from './node-permissions.ts';
export {trustErrors} from './errors.ts';
