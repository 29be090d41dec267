/** /secrets. Values go in and never come out: answers hold the keys alone. */
import {Annotations, collections, invalidInput, Labels, mergePatch, parseInput, resourceKey, type FieldError, type SecretRecord} from '@hivemind/contracts';
import {checkMatch, created, ifMatch, listQuery, listReply, manifest, namespaceFilter, namespaceOf, NamespaceQuery, sameName, withETag, type HttpServer, type ManagerContext} from '@hivemind/service';
import {collection, type Stored} from '@hivemind/store';
import * as z from 'zod';
import {dataErrors, encode, merge, sizeErrors, type SecretData} from '../core/secret-data.ts';
import {secretsOf} from '../core/references.ts';
import {errors} from '../errors.ts';
import {Secret, SecretBody, SecretPatch, type SecretResource} from '../model.ts';
import {secrets, type Vault} from './vault.ts';

const tags = ['secret'];
const Params = z.object({name: z.string()});
const apps = collection(collections.apps);

export function secretRoutes(app: HttpServer, {store}: Pick<ManagerContext, 'store'>, vault: Vault): void {
  const read = async (namespace: string, name: string): Promise<Stored<SecretRecord>> => {
    const stored = await vault.get(namespace, name);
    if (!stored) throw errors['secret-not-found'](`There is no secret ${name} in namespace ${namespace}.`);
    return stored;
  };

  app.get('/secrets', {schema: {summary: 'List secrets, without their values', tags, querystring: listQuery({item: Secret})}}, async ({query}) => {
    const namespace = namespaceFilter(query);
    const {items, revision} = await secrets.in(store).list(namespace === undefined ? {} : {prefix: `${namespace}/`});
    return listReply(items.map(present), query, revision);
  });

  app.get('/secrets/:name', {schema: {summary: 'One secret, without its values', tags, params: Params, querystring: NamespaceQuery, response: {200: Secret}}}, async ({params, query}, reply) =>
    withETag(reply, present(await read(namespaceOf(query), params.name))),
  );

  app.post('/secrets', {schema: {summary: 'Create a secret', tags, querystring: NamespaceQuery, body: manifest(SecretBody), response: {201: Secret}}}, async ({query, body}, reply) => {
    const namespace = namespaceOf(query, body);
    if (await vault.get(namespace, body.name)) throw errors['already-exists'](`Secret ${body.name} exists already in namespace ${namespace}: replace it with PUT.`);
    const stored = await vault.put(openSecret(namespace, body), undefined);
    return created(reply, location(stored.value), present(stored));
  });

  app.put('/secrets/:name', {schema: {summary: 'Create or replace a secret', tags, params: Params, querystring: NamespaceQuery, body: manifest(SecretBody), response: {200: Secret, 201: Secret}}}, async (request, reply) => {
    const {params, query, body} = request;
    sameName(params.name, body);
    const namespace = namespaceOf(query, body);
    const before = await vault.get(namespace, params.name);
    checkMatch(ifMatch(request), before?.version ?? 0, `Secret ${params.name}`);
    const stored = await vault.put(openSecret(namespace, body), before);
    return before ? withETag(reply, present(stored)) : created(reply, location(stored.value), present(stored));
  });

  app.patch('/secrets/:name', {schema: {summary: 'Change some keys of a secret; null removes one', tags, params: Params, querystring: NamespaceQuery, body: SecretPatch, response: {200: Secret}}}, async (request, reply) => {
    const {params, query, body} = request;
    const before = await read(namespaceOf(query, body), params.name);
    sameName(params.name, {name: body.name ?? params.name});
    checkMatch(ifMatch(request), before.version, `Secret ${params.name}`);
    const {data: patch, encoding} = body.spec ?? {data: {}, encoding: 'text'};
    refuse(dataErrors(patch, encoding));
    const data = merge(await vault.open(before.value), patch, encoding);
    const {namespace, name} = before.value;
    const {labels, annotations} = parseInput(z.object({labels: Labels, annotations: Annotations}), {
      labels: mergePatch(before.value.labels, body.labels ?? {}),
      annotations: mergePatch(before.value.annotations, body.annotations ?? {}),
    }, 'The secret, as patched');
    return withETag(reply, present(await vault.put({namespace, name, labels, annotations, data: checked(data)}, before)));
  });

  app.delete('/secrets/:name', {schema: {summary: 'Delete a secret that no app uses', tags, params: Params, querystring: NamespaceQuery}}, async (request) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const before = await read(namespace, name);
    checkMatch(ifMatch(request), before.version, `Secret ${name}`);
    const {items} = await apps.in(store).list({prefix: `${namespace}/`});
    const users = items.filter(({value}) => value.deletedAt === undefined && secretsOf(value.spec).includes(name));
    if (users.length > 0) throw errors['secret-in-use'](`Secret ${name} is used by ${users.map(({value}) => value.name).join(', ')}: remove it there first.`);
    await secrets.in(store).delete(resourceKey(namespace, name), {expect: before.version});
    return {kind: 'Deletion', name, namespace, status: 'gone'};
  });
}

function openSecret(namespace: string, {name, labels, annotations, spec}: z.output<typeof SecretBody>) {
  refuse(dataErrors(spec.data, spec.encoding));
  return {namespace, name, labels, annotations, data: checked(encode(spec.data, spec.encoding))};
}

function checked(data: SecretData): SecretData {
  refuse(sizeErrors(data));
  return data;
}

function refuse(wrong: readonly FieldError[]): void {
  if (wrong.length > 0) throw invalidInput('The secret', wrong);
}

const location = ({namespace, name}: SecretRecord): string => `/api/v1/secrets/${name}?namespace=${namespace}`;

function present({value: {name, namespace, labels, annotations, keys, meta}, version}: Stored<SecretRecord>): SecretResource {
  return {kind: 'Secret', name, namespace, labels, annotations, spec: {keys}, status: {}, meta: {...meta, version}};
}
