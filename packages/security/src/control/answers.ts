/** What the security manager answers on the bus: may this app be, and what is in these secrets. */
import {randomBytes} from 'node:crypto';
import {serve, type Subscription} from '@hivemind/bus';
import {checkCertificate, collections, resourceKey, takesIngress, type FieldError, type SecretRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import {collection, type CollectionDefinition, type Store, type Stored} from '@hivemind/store';
import {pairProblem} from '@hivemind/trust/certificate-pair';
import {referenceErrors, referencesOf, secretsOf, type Known, type Reference} from '../core/references.ts';
import {KEY_BYTES, NONCE_BYTES, sealForTransit} from '../core/sealing.ts';
import type {SecretData} from '../core/secret-data.ts';
import {errors} from '../errors.ts';
import {secrets, type Vault} from './vault.ts';

const configs = collection(collections.configs);
const ingresses = collection(collections.ingresses);
const nodes = collection(collections.nodes);
const assignments = collection(collections.assignments);
const containers = collection(collections.containers);
const nodeLeases = collection(collections.nodeLeases);

/** Base64 in a message of 512 KiB, with room for the rest. */
const MAX_SEALED_BYTES = 360 * 1024;

type Context = Pick<ManagerContext, 'bus' | 'store' | 'logger' | 'now'>;
interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

export function serveSecurity(context: Context, vault: Vault): Promise<readonly Subscription[]> {
  const {bus, store} = context;
  const queue = {queue: 'security'};
  return Promise.all([
    serve(bus, subjects.admit, {}, async ({namespace, spec}) => ({errors: [...await admit(store, namespace, referencesOf(spec))]}), queue),
    serve(bus, subjects.openSecrets, {}, async (request, {tokens: {node}}) => openForNode(context, vault, node, request), queue),
    serve(bus, checkCertificate, {}, async ({namespace, secret}) => ({problem: await certificateProblem(context, vault, namespace, secret)}), queue),
  ]);
}

async function admit(store: Store, namespace: string, references: readonly Reference[]): Promise<readonly FieldError[]> {
  if (references.length === 0) return [];
  const wrong = referenceErrors(references, await readKnown(store, namespace, references), namespace);
  // Something is amiss: now all names are worth reading, so that the nearest right one can be told.
  return wrong.length === 0 ? wrong : referenceErrors(references, await listKnown(store, namespace), namespace);
}

async function readKnown(store: Store, namespace: string, references: readonly Reference[]): Promise<Known> {
  const keysOf = (kind: Reference['kind']) => [...new Set(references.filter((reference) => reference.kind === kind).map(({name}) => resourceKey(namespace, name)))];
  const [secretRecords, configRecords] = await Promise.all([many(store, secrets, keysOf('secret')), many(store, configs, keysOf('config'))]);
  return known(secretRecords, configRecords);
}

async function listKnown(store: Store, namespace: string): Promise<Known> {
  const prefix = `${namespace}/`;
  const [secretRecords, configRecords] = await Promise.all([secrets.in(store).list({prefix}), collection(collections.configs).in(store).list({prefix})]);
  return known(secretRecords.items, configRecords.items);
}

function known(secretRecords: readonly Stored<SecretRecord>[], configRecords: readonly Stored<{name: string; spec: {data: Record<string, string>}}>[]): Known {
  return {
    secret: new Map(secretRecords.map(({value}) => [value.name, value.keys])),
    config: new Map(configRecords.map(({value}) => [value.name, Object.keys(value.spec.data)])),
  };
}

/** @throws `session-expired` 409, `secrets-too-large` 413 */
async function openForNode({store, logger}: Context, vault: Vault, node: string, {session, publicKey, secrets: asked}: {session: number; publicKey: string; secrets: readonly SecretName[]}) {
  const lease = await nodeLeases.in(store).get(node);
  if (lease?.value.session !== session) throw errors['session-expired'](`Session ${session} of node ${node} is over: register again.`);
  const allowed = await secretsOnNode(store, node);
  const denied = asked.filter(({namespace, name}) => !allowed.has(resourceKey(namespace, name)));
  if (denied.length > 0) logger.warn({node, secrets: denied.map(({namespace, name}) => resourceKey(namespace, name))}, 'a node asked for secrets that nothing on it uses');
  const found = await many(store, secrets, asked.filter((secret) => !denied.includes(secret)).map(({namespace, name}) => resourceKey(namespace, name)));
  const opened: Record<string, SecretData> = {};
  for (const {key, value} of found) opened[key] = await vault.open(value);
  const text = JSON.stringify(opened);
  if (text.length > MAX_SEALED_BYTES) throw errors['secrets-too-large'](`${asked.length} secrets hold more than a message takes. Put large files on a volume.`);
  const sealed = sealForTransit(publicKey, randomBytes(KEY_BYTES), randomBytes(NONCE_BYTES), text);
  if (!sealed) throw errors['invalid-input']('publicKey is not a raw X25519 public key in base64.', {errors: [{path: 'publicKey', message: 'is not a raw X25519 public key in base64'}]});
  const answered = new Set(found.map(({key}) => key));
  return {...sealed, missing: asked.filter(({namespace, name}) => !answered.has(resourceKey(namespace, name)))};
}

/** Whether what ingress is to be spoken by is a pair; empty: it is. */
async function certificateProblem({store, now}: Context, vault: Vault, namespace: string, name: string): Promise<string> {
  const stored = await secrets.in(store).get(resourceKey(namespace, name));
  if (!stored) return `there is no such secret in namespace ${namespace}`;
  const data = await vault.open(stored.value);
  const [certificate, key] = ['tls.crt', 'tls.key'].map((part) => (data[part] === undefined ? undefined : Buffer.from(data[part], 'base64').toString('utf8')));
  if (certificate === undefined || key === undefined) return `it has not both tls.crt and tls.key, but ${stored.value.keys.join(', ') || 'nothing'}`;
  return pairProblem(certificate, key, now());
}

/** Keys of the secrets that containers assigned to the node, and ingresses that it takes, use: it sees no others (law 3). */
async function secretsOnNode(store: Store, node: string): Promise<ReadonlySet<string>> {
  const [onContainers, onIngresses] = await Promise.all([secretsOfContainers(store, node), secretsOfIngresses(store, node)]);
  return new Set([...onContainers, ...onIngresses]);
}

async function secretsOfIngresses(store: Store, name: string): Promise<readonly string[]> {
  const node = await nodes.in(store).get(name);
  if (!node) return [];
  const {items} = await ingresses.in(store).list();
  return items.filter(({value: {spec}}) => takesIngress(spec, {name, labels: node.value.labels})).flatMap(({value: {namespace, spec}}) => spec.tls.flatMap((tls) => ('secret' in tls ? [resourceKey(namespace, tls.secret)] : [])));
}

async function secretsOfContainers(store: Store, node: string): Promise<readonly string[]> {
  const assignment = await assignments.in(store).get(node);
  const assigned = await many(store, containers, assignment?.value.containers.map(({id}) => id) ?? []);
  return assigned.flatMap(({value: {namespace, template}}) => secretsOf(template).map((name) => resourceKey(namespace, name)));
}

async function many<T extends object>(store: Store, definition: CollectionDefinition<T>, keys: readonly string[]): Promise<readonly Stored<T>[]> {
  if (keys.length === 0) return [];
  const records = await store.getMany(keys.map((key) => ({collection: definition.name, key})));
  return records.flatMap((record) => (record === undefined ? [] : [definition.decode(record)]));
}
