/** Certificates of ingress as files that HAProxy opens, named after what is in them: another certificate is another file. */
import {createHash} from 'node:crypto';
import {mkdir, readdir, readFile, rm} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {type IngressTls, isError, type MachineIngress} from '@hivemind/contracts';
import {pairProblem} from '@hivemind/trust/certificate-pair';
import {writeWhole} from './whole-file.ts';

/** name → key → bytes, of one namespace. Rejects where one is missing, or the control plane is away. */
export type OpenSecrets = (namespace: string, names: readonly string[]) => Promise<ReadonlyMap<string, ReadonlyMap<string, Buffer>>>;

export interface Certificates {
  /** Lists for HAProxy, by port; a port of which nothing could be had is missing. */
  readonly lists: ReadonlyMap<number, string>;
  /** Everything that is in use. */
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

/** Beside the folder of certificates. */
const ALIAS = /^ingress\.[0-9a-f]{32}(\.new)?$/;

export class CertificateFiles {
  /** Of what HAProxy opens: nobody else's. */
  readonly dir: string;
  readonly #own: string;
  readonly #open: OpenSecrets;
  readonly #now: () => number;
  /** As each was when it could be had last, by {@link keyOf}: a file. */
  readonly #known = new Map<string, string>();

  /** @param dataDir Of the machine; people put files in `certificates/` of it. */
  constructor({dataDir, open, now}: {readonly dataDir: string; readonly open: OpenSecrets; readonly now: () => number}) {
    this.dir = join(dataDir, 'agent', 'ingress');
    this.#own = join(dataDir, 'certificates');
    this.#open = open;
    this.#now = now;
  }

  async prepare(ingresses: readonly MachineIngress[]): Promise<Certificates> {
    await mkdir(this.dir, {recursive: true, mode: 0o700});
    const problems: string[] = [];
    const byPort = new Map<number, string[]>();
    for (const {namespace, name, spec} of ingresses) {
      for (const tls of spec.tls) {
        const {file, problem} = await this.#fileOf(namespace, tls);
        if (problem !== '') problems.push(`${namespace}/${name}: ${'secret' in tls ? `secret ${tls.secret}` : tls.file}: ${problem}${file === undefined ? '' : ': the one before is still in force'}`);
        if (file !== undefined) byPort.set(spec.listen.https, [...new Set([...(byPort.get(spec.listen.https) ?? []), file])]);
      }
    }
    await this.#forget(new Set(ingresses.flatMap(({namespace, spec}) => spec.tls.map((tls) => keyOf(namespace, tls)))));
    const lists = new Map<number, string>();
    for (const [port, files] of byPort) lists.set(port, await this.#write('list', `${files.join('\n')}\n`));
    return {lists, files: [...new Set([...byPort.values()].flat()), ...lists.values()], problems};
  }

  /** Those of the folder that are not in use. */
  async sweep(inUse: readonly string[]): Promise<void> {
    const kept = new Set(inUse);
    for (const name of await readdir(this.dir)) if (!kept.has(join(this.dir, name))) await rm(join(this.dir, name), {force: true});
  }

  /** What was there under a name that no ingress says any more is not there for one that says it again. */
  async #forget(said: ReadonlySet<string>): Promise<void> {
    for (const key of this.#known.keys()) if (!said.has(key)) this.#known.delete(key);
    const kept = new Set([...said].map((key) => this.#alias(key)));
    const folder = dirname(this.dir);
    for (const name of await readdir(folder)) if (ALIAS.test(name) && !kept.has(join(folder, name))) await rm(join(folder, name), {force: true});
  }

  /** undefined: there is none, and was none before. */
  async #fileOf(namespace: string, tls: IngressTls): Promise<{readonly file: string | undefined; readonly problem: string}> {
    const key = keyOf(namespace, tls);
    try {
      const file = await ('file' in tls ? this.#fromFile(tls.file) : this.#fromSecret(namespace, tls.secret));
      if (this.#known.get(key) !== file) await writeWhole(this.#alias(key), file);
      this.#known.set(key, file);
      return {file, problem: ''};
    } catch (error) {
      // After a restart of the agent it is known by its alias.
      const known = this.#known.get(key) ?? (await readFile(this.#alias(key), 'utf8').catch(() => ''));
      const file = known !== '' && (await isWhole(known)) ? known : undefined;
      return {file, problem: file !== undefined && isAway(error) ? '' : error instanceof Error ? error.message : String(error)};
    }
  }

  async #fromFile(name: string): Promise<string> {
    const text = await readFile(join(this.#own, name), 'utf8').catch(() => {
      throw new Error(`is not in ${this.#own} of this machine`);
    });
    return this.#checked(text, text);
  }

  async #fromSecret(namespace: string, secret: string): Promise<string> {
    const data = (await this.#open(namespace, [secret])).get(secret);
    const [certificate, key] = ['tls.crt', 'tls.key'].map((part) => data?.get(part)?.toString('utf8'));
    if (certificate === undefined || key === undefined) throw new Error('it has not both tls.crt and tls.key');
    return this.#checked(certificate, key);
  }

  /** Where it is written which file it was last; beside the folder that is swept. */
  #alias(key: string): string {
    return `${this.dir}.${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  }

  async #checked(certificate: string, key: string): Promise<string> {
    const problem = pairProblem(certificate, key, this.#now());
    // One that is over is still spoken by: those who ask see what is wrong, rather than nothing.
    if (problem !== '' && !problem.startsWith('the certificate ended')) throw new Error(problem);
    return this.#write('pem', certificate === key ? certificate : `${certificate.trimEnd()}\n${key.trimEnd()}\n`);
  }

  async #write(ending: string, text: string): Promise<string> {
    const path = join(this.dir, `${nameOf(text)}.${ending}`);
    await writeWhole(path, text);
    return path;
  }
}

const keyOf = (namespace: string, tls: IngressTls): string => ('file' in tls ? `file ${tls.file}` : `${namespace}/${tls.secret}`);

/** Nobody could say what the secret is now: nobody answered, or this machine has yet to register again. */
const isAway = (error: unknown): boolean => isError(error) && (error.status >= 500 || ['cancelled', 'session-expired'].includes(error.code));

const nameOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 40);

const isWhole = (path: string): Promise<boolean> => readFile(path, 'utf8').then((text) => basename(path).startsWith(`${nameOf(text)}.`), () => false);
