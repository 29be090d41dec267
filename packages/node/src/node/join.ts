/** Becoming a node, once, and being the same node at every start after that, whether or not the control plane is there. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {isError} from '@hivemind/contracts';
import {type Clock, systemClock} from '@hivemind/controller';
import {authorityHash, parseJoinToken} from '@hivemind/trust/node';
import type {Logger} from 'pino';
import {NodeCredentials} from './join-credentials.ts';
import {joiningErrors} from './join-errors.ts';
import {askToJoin, gatewayUrl, trustedAuthority} from './join-http.ts';
import {type Identity, type JoinedIdentity, newIdentity, readIdentity, writeIdentity} from './join-identity.ts';

export interface JoinOptions {
  readonly dataDir: string;
  /** Where a gateway is, and what it is asked with. Needed once; later they may be given or not. */
  readonly gateway?: string;
  readonly token?: string;
  /** As which node: DNS label. */
  readonly name: string;
  /** The name was chosen by a person, not derived: another one in the data dir is then a mistake. */
  readonly nameGiven: boolean;
  readonly clock?: Clock;
  readonly logger: Logger;
}


/**
 * The identity of the data dir, or a new one by joining. A machine that was removed joins anew where a token is given.
 * @throws `join-needed`, `insecure-join`, `join-token-malformed` 422; `identity-conflict`, `authority-mismatch` 409;
 * `identity-damaged` 500; `gateway-absent` 503, `gateway-unknown` 502; what the control plane answers to a join
 */
export async function openMembership(options: JoinOptions): Promise<NodeCredentials> {
  const known = await readIdentity(options.dataDir);
  if (!isJoined(known)) return credentialsOf(options, await joinAnew(options, known));
  checkIdentity(options, known);
  const credentials = credentialsOf(options, known);
  try {
    // With a token at hand it is worth knowing whether the machine is still a node.
    await credentials.refresh(options.token !== undefined);
    return credentials;
  } catch (error) {
    if (!isError(error, 'node-removed') || options.token === undefined) throw error;
    options.logger.warn({node: known.name}, 'this machine was removed from the cluster; it joins anew');
    return credentialsOf(options, await joinAnew({...options, name: options.nameGiven ? options.name : known.name}, undefined));
  }
}

async function joinAnew({dataDir, gateway, token, name, logger, clock = systemClock}: JoinOptions, begun: Identity | undefined): Promise<JoinedIdentity> {
  if (gateway === undefined || token === undefined) throw joiningErrors['join-needed'](`There is no identity of a node in ${dataDir}: give --join URL --token TOKEN. hivemind node join-token prints the command.`);
  const {authorityHash: hash} = parseJoinToken(token);
  const url = gatewayUrl(gateway);
  const cluster = await formerCluster(dataDir);
  const ca = await trustedAuthority(url, hash);
  const identity = begun?.name === name ? begun : newIdentity(name);
  await writeIdentity(dataDir, identity);
  const {nkey, sealKey} = identity;
  const reply = await askToJoin(url, ca, {token: token.trim(), name, nkey, sealKey, ...(cluster === undefined ? {} : {cluster})});
  const joined = {...identity, membership: {...reply, ca, gateway: url, receivedAt: new Date(clock.now()).toISOString()}};
  await writeIdentity(dataDir, joined);
  logger.info({node: name, cluster: reply.cluster, gateway: url}, 'joined the cluster');
  return joined;
}

function credentialsOf({dataDir, clock, logger}: JoinOptions, identity: JoinedIdentity): NodeCredentials {
  return new NodeCredentials({identity, dataDir, logger, ...(clock ? {clock} : {})});
}

/** What the command line says must fit what the data dir says. */
function checkIdentity({dataDir, name, nameGiven, token}: JoinOptions, {name: known, membership: {ca, cluster}}: JoinedIdentity): void {
  if (nameGiven && name !== known) throw joiningErrors['identity-conflict'](`${dataDir} is of node ${known}, not ${name}: give it another --data-dir, or leave --name away.`);
  if (token !== undefined && parseJoinToken(token).authorityHash !== authorityHash(ca)) {
    throw joiningErrors['identity-conflict'](`${dataDir} is of node ${known} of cluster ${cluster}, and the token is of another cluster: give it another --data-dir.`);
  }
}

/** What an agent that ran here before knew its cluster by. */
async function formerCluster(dataDir: string): Promise<string | undefined> {
  const text = await readFile(join(dataDir, 'agent', 'cluster'), 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}

function isJoined(identity: Identity | undefined): identity is JoinedIdentity {
  return identity?.membership !== undefined;
}
