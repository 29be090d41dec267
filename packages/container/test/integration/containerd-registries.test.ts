/** Real registries, each reached as its settings say. */
import {createHash, createPrivateKey, randomUUID, sign, X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {createServer, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {Runtime} from '@hivemind/runtime';
import {type Registry, type RegistryOptions, startRegistry, waitFor} from '@hivemind/testkit';
import {createAuthority, issueCertificate} from '@hivemind/trust';
import {ImageConfig, Manifest} from '../../src/node/containerd/core/manifest.ts';
import type {RegistrySettings} from '../../src/node/index.ts';
import {containerdBench, type ContainerdBench, pulled} from './containerd-harness.ts';
import {faultyRegistry} from './faulty-registry.ts';

let bench: ContainerdBench;
const begun: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  bench = await containerdBench();
  // What it has already, it would not ask for.
  bench.containerd.ctr('images', 'rm', '--sync', bench.image);
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);
afterEach(async () => {
  for (const end of begun.splice(0).toReversed()) await end();
  for (const name of bench.containerd.ctr('images', 'ls', '-q').split('\n').filter(Boolean)) bench.containerd.ctr('images', 'rm', '--sync', name);
});

async function open(registries: RegistrySettings): Promise<Runtime> {
  const runtime = await bench.open({registries});
  begun.push(() => runtime.close());
  return runtime;
}

async function another(options: RegistryOptions): Promise<Registry> {
  const registry = await startRegistry({...options, sharing: bench.registry.dir});
  begun.push(() => registry.stop());
  return registry;
}

it('one with an authority of its own is believed by that, and no other', async () => {
  const authority = await createAuthority({cluster: 'registry', now: Date.now()});
  const other = await createAuthority({cluster: 'other', now: Date.now()});
  const tls = await issueCertificate(authority, {name: 'registry', addresses: ['127.0.0.1'], usages: ['server'], now: Date.now()});
  const {host} = await another({tls});
  const image = `${host}/base:1`;
  await expect(pulled(await open({}), image)).rejects.toMatchObject({code: 'image-pull-failed', message: expect.stringContaining('--registries')});
  await expect(pulled(await open({[host]: {authority: other.certificate}}), image)).rejects.toMatchObject({code: 'image-pull-failed'});
  const runtime = await open({[host]: {authority: authority.certificate}});
  await pulled(runtime, image);
  expect(await runtime.hasImage(image)).toBe(true);
});

it('one that sends for a token is shown one, of the name and password that are for it', async () => {
  const authority = await createAuthority({cluster: 'tokens', now: Date.now()});
  const signer = await issueCertificate(authority, {name: 'signer', now: Date.now()});
  const service = 'registry.test';
  let given = 0;
  const tokens = createServer((request, response) => {
    given += 1;
    const {searchParams} = new URL(request.url ?? '', 'http://localhost');
    const allowed = request.headers.authorization === `Basic ${Buffer.from('ann:secret').toString('base64')}`;
    const [, name] = searchParams.get('scope')?.split(':') ?? [];
    const word = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const head = word({typ: 'JWT', alg: 'ES256', x5c: [new X509Certificate(signer.certificate).raw.toString('base64')]});
    const claims = word({iss: 'test', sub: 'ann', aud: searchParams.get('service'), exp: now + 300, nbf: now - 300, iat: now, jti: randomUUID(), access: allowed ? [{type: 'repository', name, actions: ['pull']}] : []});
    const signature = sign('sha256', Buffer.from(`${head}.${claims}`), {key: createPrivateKey(signer.key), dsaEncoding: 'ieee-p1363'}).toString('base64url');
    response.setHeader('content-type', 'application/json').end(JSON.stringify({token: `${head}.${claims}.${signature}`}));
  });
  tokens.listen(0, '127.0.0.1');
  await once(tokens, 'listening');
  begun.push(async () => {
    tokens.closeAllConnections();
    tokens.close();
    await once(tokens, 'close');
  });
  const realm = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`;
  const {host, url} = await another({token: {realm, service, issuer: 'test', certificate: authority.certificate}});
  const image = `${host}/base:1`;
  await expect(pulled(await open({[host]: {plainHttp: true}}), image)).rejects.toMatchObject({code: 'image-unauthorized', message: expect.stringContaining('pull.secret')});
  const runtime = await open({[host]: {plainHttp: true, credentials: {username: 'ann', password: 'secret'}}});
  await pulled(runtime, image);
  expect(await runtime.hasImage(image)).toBe(true);

  // One whose token is over amid a pull is shown another.
  bench.containerd.ctr('images', 'rm', '--sync', image);
  await using busy = await faultyRegistry(url);
  let over = 1;
  busy.harm = (request, _body, response) => {
    if (!request.url.includes('/blobs/') || over-- <= 0) return false;
    response.writeHead(401, {'www-authenticate': `Bearer realm="${realm}",service="${service}",scope="repository:base:pull",error="invalid_token"`}).end();
    return true;
  };
  given = 0;
  await pulled(await open({[busy.host]: {plainHttp: true, credentials: {username: 'ann', password: 'secret'}}}), `${busy.host}/base:1`);
  expect(given).toBe(2);
});

it('one with mirrors is asked after them, and only for what they have not', async () => {
  const gone = await another({});
  await gone.stop();
  // Nobody is there by this name: all comes from the mirror.
  const far = 'registry.invalid:5000';
  const runtime = await open({[far]: {mirrors: [bench.registry.url]}, [gone.host]: {plainHttp: true}, [bench.registry.host]: {plainHttp: true, mirrors: [gone.url]}});
  await pulled(runtime, `${far}/base:1`);
  expect((await runtime.images()).flatMap(({tags}) => tags)).toEqual([`${far}/base:1`]);
  await pulled(runtime, bench.image);
  expect(await runtime.hasImage(bench.image)).toBe(true);
});

it('one with a password is shown that of its settings, unless the image brings its own', async () => {
  const credentials = {username: 'bob', password: 'pa:ss'};
  const {host} = await another({auth: credentials});
  const runtime = await open({[host]: {plainHttp: true, credentials}});
  await expect(async () => {
    for await (const _step of runtime.pull(`${host}/base:1`, {username: 'bob', password: 'wrong'}, AbortSignal.timeout(10_000)));
  }).rejects.toMatchObject({code: 'image-unauthorized'});
  await pulled(runtime, `${host}/base:1`);
});

it('one that keeps its layers elsewhere is followed there, without the password', async () => {
  const credentials = {username: 'bob', password: 'pa:ss'};
  const {url} = await another({auth: credentials});
  await using front = await faultyRegistry(url);
  await using store = await faultyRegistry(bench.registry.url);
  front.harm = (request, _body, response) => {
    if (!request.url.includes('/blobs/')) return false;
    response.writeHead(307, {location: `http://${store.host}${request.url}`}).end();
    return true;
  };
  const shown = new Set<string | undefined>();
  store.harm = ({authorization}) => {
    shown.add(authorization);
    return false;
  };
  const runtime = await open({[front.host]: {plainHttp: true, credentials}});
  await pulled(runtime, `${front.host}/base:1`);
  expect(await runtime.hasImage(`${front.host}/base:1`)).toBe(true);
  expect([...shown]).toEqual([undefined]);
});

/** The base image with each layer twice. @returns the layers' digests */
async function pushTwice(url: string, name: string): Promise<readonly string[]> {
  const base = `${url}/v2/${name}`;
  const {layers, config, mediaType} = Manifest.parse(await (await fetch(`${base}/manifests/1`, {headers: {accept: 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json'}})).json());
  const {rootfs, ...rest} = ImageConfig.parse(await (await fetch(`${base}/blobs/${config.digest}`)).json());
  const body = JSON.stringify({...rest, rootfs: {type: 'layers', diff_ids: rootfs.diff_ids.flatMap((id) => [id, id])}});
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const {headers} = await fetch(`${base}/blobs/uploads/`, {method: 'POST'});
  const place = new URL(headers.get('location') ?? '', url);
  place.searchParams.set('digest', digest);
  expect((await fetch(place, {method: 'PUT', headers: {'content-type': 'application/octet-stream'}, body})).status).toBe(201);
  const manifest = {schemaVersion: 2, mediaType, config: {...config, digest, size: body.length}, layers: layers.flatMap((layer) => [layer, layer])};
  expect((await fetch(`${base}/manifests/twice`, {method: 'PUT', headers: {'content-type': mediaType ?? ''}, body: JSON.stringify(manifest)})).status).toBe(201);
  return layers.map((layer) => layer.digest);
}

it('one that has a layer twice in an image gives it once, and where it loses it the pull fails and nothing else', async () => {
  const digests = await pushTwice(bench.registry.url, 'base');
  await using registry = await faultyRegistry(bench.registry.url);
  registry.harm = ({url}, _body, response) => {
    if (!digests.some((digest) => url.endsWith(digest))) return false;
    response.writeHead(404).end();
    return true;
  };
  const runtime = await open({[registry.host]: {plainHttp: true}});
  const image = `${registry.host}/base:twice`;
  // A rejection that nobody handles fails the test, as it would end the agent.
  await expect(pulled(runtime, image)).rejects.toMatchObject({code: 'image-not-found'});
  registry.harm = () => false;
  const before = registry.asked.length;
  await pulled(runtime, image);
  expect(registry.asked.slice(before).filter((asked) => asked.endsWith(digests[0] ?? ''))).toHaveLength(1);
  expect(await runtime.hasImage(image)).toBe(true);
});

it('one that is slow holds up no pull that is given up, also where another waits for the same layer', async () => {
  await using registry = await faultyRegistry(bench.registry.url);
  const held: [Buffer, ServerResponse][] = [];
  registry.harm = ({url}, body, response) => {
    if (!url.includes('/blobs/') || body.length < 100_000) return false;
    response.writeHead(200, {'content-length': body.length}).flushHeaders();
    held.push([body, response]);
    return true;
  };
  const runtime = await open({[registry.host]: {plainHttp: true}});
  const image = `${registry.host}/base:1`;
  const first = pulled(runtime, image);
  await waitFor(() => held.length === 1, {what: 'the layer to be asked for'});
  const over = new AbortController();
  await expect(async () => {
    for await (const {status} of runtime.pull(image, undefined, over.signal)) if (status === 'Downloading') over.abort(new Error('given up'));
  }).rejects.toThrow('given up');
  for (const [body, response] of held) response.end(body);
  await first;
  expect(held).toHaveLength(1);
});
