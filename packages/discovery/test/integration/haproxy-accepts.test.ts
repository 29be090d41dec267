/** Whatever ingress the contracts let through, HAProxy takes the configuration that is made of it, and reads in it what was meant. */
import {execFile} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {IngressSpec, type MachineIngress, retryReasons} from '@hivemind/contracts';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {createAuthority, issueCertificate} from '@hivemind/trust';
import fc from 'fast-check';
import {compile} from '../../src/core/ingress/compile.ts';

const run = promisify(execFile);
const RUNS = process.env.HIVEMIND_TEST_FULL === '1' ? 60 : 6;

const among = (characters: string, maxLength: number) => fc.string({unit: fc.constantFrom(...characters), maxLength});
const label = fc.constantFrom('web', 'api', 'a-b', '0', 'x'.repeat(63));
const path = among("!$%&()*+,-./09:;=@AZ_az~", 20).map((rest) => `/${rest}`);
const value = among("!\"#$%&()*+,-./09:;<=>?@[]^_`{|}~ aZ", 12).map((text) => `v${text.trim()}`);
const length = fc.constantFrom('1ms', '1500ms', '1.5s', '2m', '24h');
const some = <T>(given: fc.Arbitrary<T>) => fc.option(given, {nil: undefined});
const rule = fc.record({
  host: some(fc.constantFrom('shop.example', '*.shop.example', 'a', '*.x')), path, match: fc.constantFrom('prefix', 'exact'),
  headers: fc.dictionary(fc.constantFrom('x-a', 'X_b', '0'), value, {maxKeys: 2}), cookies: fc.dictionary(fc.constantFrom('a.b', 'c_d-e'), value, {maxKeys: 2}),
  app: label, protocol: fc.constantFrom('http', 'h2c'),
});
/** So many hosts in full that they are looked up in maps. */
const hosts = fc.array(fc.record({path, match: fc.constantFrom('prefix', 'exact'), app: label}), {minLength: 16, maxLength: 16}).map((rules) => rules.map((one, index) => ({...one, host: `h${index}.example`})));
const spec = fc.record({
  rules: fc.array(rule, {minLength: 1, maxLength: 4}), many: fc.option(hosts, {nil: [], freq: 2}),
  balance: fc.constantFrom('least-connections', 'round-robin', 'random', 'ip-hash'),
  affinity: some(fc.record({cookie: fc.constantFrom('SERVER', 'a.b-c')})),
  retries: fc.record({attempts: fc.nat(10), on: fc.subarray([...retryReasons], {minLength: 1})}),
  timeouts: fc.record({connect: length, response: length, tunnel: length}),
  breaker: some(fc.record({errors: fc.integer({min: 1, max: 1000}), eject: fc.constantFrom('100ms', '1h'), probe: some(path)})),
  rateLimit: some(fc.record({requests: fc.integer({min: 1, max: 1e9}), per: length})),
  secure: fc.boolean(), redirect: fc.boolean(), accessLog: fc.boolean(),
});

let dir: string;
let list: string;
beforeAll(async () => {
  dir = tempDir('accepts');
  const {certificate, key} = await issueCertificate(await createAuthority({cluster: 'test', now: Date.now()}), {name: 'x', dns: ['shop.example'], now: Date.now()});
  writeFileSync(join(dir, 'x.pem'), certificate + key);
  list = join(dir, 'list');
  writeFileSync(list, `${join(dir, 'x.pem')}\n`);
});
afterAll(() => removeTempDir(dir));

it('HAProxy takes every configuration that is made', async () => {
  await fc.assert(fc.asyncProperty(fc.array(spec, {minLength: 1, maxLength: 5}), async (specs) => {
    const ingresses = specs.map(({secure, redirect, many, ...rest}, index): MachineIngress => {
      const wanted = {...JSON.parse(JSON.stringify(rest)) as object, rules: [...rest.rules, ...many], listen: {http: 20_000 + index, https: 21_000 + index}, ...(secure ? {tls: [{file: 'x.pem'}], redirectHttps: redirect} : {})};
      return {namespace: 'shop', name: `site-${index}`, spec: IngressSpec.parse(wanted)};
    });
    const ports = [{port: 80, protocol: 'tcp' as const}];
    const {plan: {config}, texts} = compile({
      version: 'v', ingresses, before: {}, dir, user: undefined, files: [], folder: dir, problem: '', certificates: new Map(ingresses.map(({spec: {listen}}) => [listen.https, list])),
      service: (key) => ({namespace: 'shop', name: key, headless: false, addresses: [], ports, endpoints: [{container: 'c', node: 'n', address: '10.0.0.1', ports, weight: 35}]}),
    });
    for (const [path, text] of texts) writeFileSync(path, text);
    const file = join(dir, 'haproxy.cfg');
    writeFileSync(file, config);
    const {stdout, stderr} = await run('/usr/sbin/haproxy', ['-c', '-f', file]).catch((error: Error & {stderr: string}) => {
      throw new Error(`${error.stderr}\n${config}`);
    });
    // A warning is of something that is not what was meant.
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('[WARNING]'))).toEqual([]);
  }), {numRuns: RUNS, endOnFailure: true});
}, 120_000);
