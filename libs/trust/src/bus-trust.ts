/**
 * Who may do what on NATS, in operator mode: one operator, an account for the system, one for Hivemind. Services may do
 * everything in the account; a machine only what `nodePermissions` says. Their credentials are short-lived, and a machine's
 * can be revoked: the account's claims, pushed to the servers, then name its key.
 */
import {openKeepsake, type KeepsakeOptions} from './keepsake.ts';
import {nodeInbox, nodePermissions} from './node-permissions.ts';
import {createKeyPair, keyPairFromSeed, readClaims, signClaims, type KeyPair} from './nkeys.ts';

/** Of one connection: a JWT, and the seed of the key that it is for. */
export interface BusCredentials {
  readonly jwt: string;
  readonly seed: string;
}

export interface UserRequest {
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** ms since the epoch. */
  readonly now: number;
  /** How long the credentials are valid, ms; default one hour. */
  readonly ttlMs?: number;
}

export interface BusTrust {
  /** Public keys. */
  readonly account: string;
  readonly systemAccount: string;
  readonly operatorJwt: string;
  readonly systemAccountJwt: string;
  /**
   * The account's claims. `revoked`: public key → s since the epoch; what was issued until then is void. Of two claims a
   * server keeps the one issued later (s since the epoch).
   */
  accountJwt(revoked: Readonly<Record<string, number>>, issuedAt: number): string;
  /** For the key that a machine made and keeps to itself. */
  nodeJwt(request: UserRequest & {readonly nkey: string}): {readonly jwt: string; readonly expiresAt: number};
  /** Whose the JWT is, when this account gave it to a machine and it has not run out. */
  nodeOf(jwt: string, now: number): {readonly name: string; readonly nkey: string} | undefined;
  serviceCredentials(request: UserRequest): BusCredentials;
  /** May push account claims. */
  systemCredentials(request: UserRequest): BusCredentials;
}

const USER_TTL_MS = 3_600_000;
const unlimited = {subs: -1, data: -1, payload: -1};
const accountLimits = {...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1};
const owners = ['operator', 'account', 'systemAccount'] as const;

/** @throws `cluster-key-mismatch` 503 */
export async function openBusTrust(options: KeepsakeOptions): Promise<BusTrust> {
  const issuedAt = Math.floor(options.now / 1000);
  const {open, sealed} = await openKeepsake(options, 'bus', {open: ['operatorJwt', 'systemAccountJwt'], sealed: owners}, async (seed) => {
    const [operator, account, systemAccount] = [createKeyPair('operator', seed('operator')), createKeyPair('account', seed('account')), createKeyPair('account', seed('system account'))];
    const operatorJwt = signClaims(operator, {name: `hivemind ${options.cluster}`, subject: operator.publicKey, issuedAt, nats: {type: 'operator', system_account: systemAccount.publicKey}});
    const systemAccountJwt = signClaims(operator, {name: 'system', subject: systemAccount.publicKey, issuedAt, nats: {type: 'account', limits: accountLimits}});
    return {open: {operatorJwt, systemAccountJwt}, sealed: {operator: operator.seed, account: account.seed, systemAccount: systemAccount.seed}};
  });
  const [operator, account, systemAccount] = [opened(sealed.operator), opened(sealed.account), opened(sealed.systemAccount)];

  return {
    ...open,
    account: account.publicKey,
    systemAccount: systemAccount.publicKey,
    accountJwt: (revoked, at) => signClaims(operator, {name: 'hivemind', subject: account.publicKey, issuedAt: at, nats: {type: 'account', limits: accountLimits, revocations: revoked}}),
    nodeJwt({name, nkey, now, ttlMs = USER_TTL_MS}) {
      const expiresAt = now + ttlMs;
      return {jwt: userJwt(account, name, nkey, now, expiresAt, nodePermissions(name)), expiresAt};
    },
    nodeOf(jwt, now) {
      const claims = readClaims(account.publicKey, jwt);
      // A service's says nothing of subjects.
      const isNode = claims?.nats.sub?.allow.includes(`${nodeInbox(claims.name)}.>`) === true;
      return claims && isNode && claims.exp * 1000 > now ? {name: claims.name, nkey: claims.sub} : undefined;
    },
    serviceCredentials: (request) => freshUser(account, request),
    systemCredentials: (request) => freshUser(systemAccount, request),
  };
}

function freshUser(account: KeyPair, {name, now, ttlMs = USER_TTL_MS}: UserRequest): BusCredentials {
  const user = createKeyPair('user');
  return {jwt: userJwt(account, name, user.publicKey, now, now + ttlMs, {}), seed: user.seed};
}

function opened(seed: string): KeyPair {
  const pair = keyPairFromSeed(seed);
  if (!pair) throw new TypeError('what the cluster keeps for its bus is no seed of a key');
  return pair;
}

function userJwt(account: KeyPair, name: string, subject: string, now: number, expiresAt: number, permissions: object): string {
  return signClaims(account, {name, subject, issuedAt: Math.floor(now / 1000), expiresAt: Math.floor(expiresAt / 1000), nats: {type: 'user', ...unlimited, ...permissions}});
}
