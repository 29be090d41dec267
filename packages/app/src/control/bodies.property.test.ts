/** Whatever is sent, the answer is about the request: never a 500. */
import {AppSpec, knownNames} from '@hivemind/contracts';
import fc from 'fast-check';
import {TestCluster} from '../testing/cluster.ts';

const scalar = fc.oneof(fc.string({maxLength: 12}), fc.double(), fc.integer(), fc.boolean(), fc.constantFrom(null, '', 'default', '-1', '64Mi', '0', '😀', 'a'.repeat(70)));
const anything = fc.oneof(scalar, fc.array(scalar, {maxLength: 3}), fc.dictionary(fc.string({maxLength: 8}), scalar, {maxKeys: 3}), fc.jsonValue({maxDepth: 3}));
const field = fc.constantFrom(...knownNames(AppSpec, []), 'unknown');
/** Bodies that come close: known fields with values of any kind, around a core that is right. */
const spec = fc.dictionary(field, anything, {maxKeys: 3}).map((fields) => ({image: 'web:1', replicas: 0, ...fields}));
const resource = fc.record({name: fc.oneof(fc.constantFrom('web', 'other', 'new-one'), anything), spec: fc.oneof(spec, anything), labels: fc.option(anything, {nil: undefined}), namespace: fc.option(fc.constantFrom('default', 'shop', 'No'), {nil: undefined})}, {requiredKeys: []});
const body = fc.oneof({weight: 4, arbitrary: resource}, {weight: 1, arbitrary: spec}, {weight: 1, arbitrary: anything});
const route = fc.constantFrom(
  ...(['/apps', '/apps?dryRun=true', '/configs', '/namespaces', '/apps/web/scale', '/apps/web/restart', '/apps/web/stop', '/apps/web/start', '/apps/web/rollback', '/apps/web/plan', '/cluster/adopt', '/apps/none/scale'] as const).map((path) => ['POST', path] as const),
  ...(['/apps/web', '/apps/web?dryRun=true', '/configs/conf', '/namespaces/shop', '/apps/%00', '/apps/..%2F..'] as const).flatMap((path) => [['PUT', path], ['PATCH', path]] as const),
);
const query = fc.constantFrom('apps?limit=0', 'apps?cursor=%F0', 'apps?cursor=e30', 'apps?sort=nothing', 'apps?namespace=%00', 'apps?labelSelector=((', 'apps/web/logs?tail=-1', 'apps/web/logs?since=x', 'apps/web/events?limit=z', 'apps/web?extra=1', 'configs?fields=a.b', 'namespaces/%FF');

describe('generated requests', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: 0}});
    await cluster.request('POST', '/configs', {name: 'conf', data: {}});
  });
  afterAll(async () => cluster.stop());

  it('writes are taken or refused with a problem that has a code', async () => {
    await fc.assert(
      fc.asyncProperty(route, body, async ([method, path], sent) => {
        const response = await cluster.request(method, path, sent ?? null);
        expect(response.statusCode).toBeLessThan(500);
        if (response.statusCode >= 400) expect(response.json()).toMatchObject({code: expect.stringMatching(/^[a-z-]+$/), status: response.statusCode, detail: expect.any(String)});
      }),
      {numRuns: 400},
    );
  }, 60_000);

  it('and so are queries', async () => {
    await fc.assert(
      fc.asyncProperty(query, async (path) => {
        const {statusCode} = await cluster.request('GET', `/${path}`);
        expect(statusCode).toBeGreaterThanOrEqual(400);
        expect(statusCode).toBeLessThan(500);
      }),
    );
  });
});
