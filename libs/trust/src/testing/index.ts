/** A real nats-server that trusts a cluster of its own, and connections to it. For tests. */
import {randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {connectNatsBus, type Bus, type NatsBusOptions} from '@hivemind/bus';
import {openSqliteStore, type Store} from '@hivemind/store';
import {startNats, type NatsServer} from '@hivemind/testkit';
import {createAuthority, issueCertificate, type Authority} from '../authority.ts';
import {openBusTrust, type BusCredentials, type BusTrust} from '../bus-trust.ts';
import {natsServerConfig} from '../nats-config.ts';
import {nodeInbox} from '../node-permissions.ts';
import {createKeyPair} from '../nkeys.ts';

export interface TrustedNats {
  readonly server: NatsServer;
  readonly trust: BusTrust;
  readonly authority: Authority;
  /** Present where the server wants TLS. */
  readonly tls: {readonly ca: string} | undefined;
  /** What `connectNatsBus` takes to be that service. */
  serviceOptions(name: string): NatsBusOptions;
  /** What `connectNatsBus` takes to be that machine. */
  nodeOptions(node: string, nkey?: NodeKey): NatsBusOptions;
  connect(options: NatsBusOptions): Promise<Bus>;
  /** Closes what was connected, and ends the server. */
  stop(): Promise<void>;
}

export interface NodeKey {
  readonly nkey: string;
  readonly seed: string;
}

export function createNodeKey(): NodeKey {
  const {publicKey, seed} = createKeyPair('user');
  return {nkey: publicKey, seed};
}

/** Credentials that stay as they are. */
export const fixedCredentials = (credentials: BusCredentials) => ({current: () => credentials, onRenewed: () => () => undefined});

export interface TrustedNatsOptions {
  readonly tls?: boolean;
  /** Whose it is; a store of its own when absent. */
  readonly trust?: {readonly bus: BusTrust; readonly authority: Authority};
}

export async function startTrustedNats({tls: withTls = false, trust: given}: TrustedNatsOptions = {}): Promise<TrustedNats> {
  const now = Date.now();
  const {bus: trust, authority} = given ?? (await newTrust(now));
  const certificate = await issueCertificate(authority, {name: 'nats', addresses: ['127.0.0.1'], now});
  const server = await startNats({
    config: (dir) => {
      const files = {certificate: join(dir, 'nats.crt'), key: join(dir, 'nats.key')};
      writeFileSync(files.certificate, certificate.certificate);
      writeFileSync(files.key, certificate.key, {mode: 0o600});
      return natsServerConfig({trust, dir: join(dir, 'accounts'), ...(withTls ? {tls: files} : {})});
    },
  });
  const tls = withTls ? {ca: authority.certificate} : undefined;
  const options = (name: string, credentials: BusCredentials): NatsBusOptions => ({servers: server.url, name, credentials: fixedCredentials(credentials), ...(tls ? {tls} : {})});
  const open: Bus[] = [];
  return {
    server, trust, authority, tls,
    serviceOptions: (name) => options(name, trust.serviceCredentials({name, now: Date.now()})),
    nodeOptions(node, {nkey, seed} = createNodeKey()) {
      return {...options(node, {jwt: trust.nodeJwt({name: node, nkey, now: Date.now()}).jwt, seed}), inboxPrefix: nodeInbox(node)};
    },
    async connect(wanted) {
      const bus = await connectNatsBus(wanted);
      open.push(bus);
      return bus;
    },
    async stop() {
      await Promise.all(open.map((bus) => bus.close()));
      await server.stop();
    },
  };
}

async function newTrust(now: number): Promise<{bus: BusTrust; authority: Authority}> {
  const store: Store = await openSqliteStore({path: ':memory:'});
  const [bus, authority] = await Promise.all([openBusTrust({store, clusterKey: randomBytes(32), cluster: 'c1', now}), createAuthority({cluster: 'c1', now})]);
  await store.close();
  return {bus, authority};
}
