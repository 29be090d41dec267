import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {busErrors} from '@hivemind/bus';
import {defineErrors, IngressSpec, type MachineIngress} from '@hivemind/contracts';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {createAuthority, issueCertificate} from '@hivemind/trust';
import {CertificateFiles, type OpenSecrets} from './certificates.ts';

const errors = defineErrors({'session-expired': {status: 409, title: 'The session is over'}, 'secret-not-found': {status: 422, title: 'There is none'}});
const now = Date.now();
const site: MachineIngress = {namespace: 'shop', name: 'site', spec: IngressSpec.parse({rules: [{app: 'web'}], tls: [{secret: 'cert'}]})};

describe('certificates of ingress', () => {
  let data: ReadonlyMap<string, Buffer>;
  let dataDir: string;
  let open: OpenSecrets;
  /** As an agent that has just started. */
  const files = () => new CertificateFiles({dataDir, open: (...asked) => open(...asked), now: () => now});
  const fails = (error: Error): void => {
    open = () => Promise.reject(error);
  };
  beforeAll(async () => {
    const {certificate, key} = await issueCertificate(await createAuthority({cluster: 'test', now}), {name: 'x', dns: ['shop.example'], now});
    data = new Map([['tls.crt', Buffer.from(certificate)], ['tls.key', Buffer.from(key)]]);
  });
  beforeEach(() => {
    dataDir = tempDir('certificates');
    mkdirSync(join(dataDir, 'certificates'));
    open = async (_namespace, names) => new Map(names.map((name) => [name, data]));
  });
  afterEach(() => removeTempDir(dataDir));

  it('are written anew where a power cut left nothing of them, and never taken for what they are not', async () => {
    const {files: paths} = await files().prepare([site]);
    const texts = paths.map((path) => readFileSync(path, 'utf8'));
    expect(texts).toEqual([expect.stringContaining('PRIVATE KEY'), `${paths[0]}\n`]);
    for (const path of paths) writeFileSync(path, '');
    expect((await files().prepare([site])).files.map((path) => readFileSync(path, 'utf8'))).toEqual(texts);
    writeFileSync(paths[0]!, '');
    fails(busErrors.timeout('late'));
    expect(await files().prepare([site])).toEqual({lists: new Map(), files: [], problems: ['shop/site: secret cert: late']});
  });

  it('are forgotten when no ingress names them any more', async () => {
    const own = files();
    await own.prepare([site]);
    await own.prepare([]);
    expect(readdirSync(join(dataDir, 'agent'))).toEqual(['ingress']);
    fails(errors['secret-not-found']('there is none'));
    for (const one of [own, files()]) expect(await one.prepare([site])).toMatchObject({files: [], problems: ['shop/site: secret cert: there is none']});
  });

  it('stay as they are, and nothing is said, while nobody can say what they are now', async () => {
    const own = files();
    const before = await own.prepare([site]);
    for (const error of [busErrors.cancelled('x'), busErrors.timeout('x'), busErrors['no-responders']('x'), errors['session-expired']('x')]) {
      fails(error);
      expect(await own.prepare([site])).toEqual(before);
    }
    fails(errors['secret-not-found']('there is none'));
    expect(await own.prepare([site])).toEqual({...before, problems: ['shop/site: secret cert: there is none: the one before is still in force']});
  });
});
