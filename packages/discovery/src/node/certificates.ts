/** Certificates of ingress as files that HAProxy opens, named after what is in them: another certificate is another file. */
import {createHash} from 'node:crypto';
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {IngressTls, MachineIngress} from '@hivemind/contracts';
import {pairProblem} from '@hivemind/trust/certificate-pair';

/** name → key → bytes, of one namespace. Rejects where one is missing, or the control plane is away. */
export type OpenSecrets = (namespace: string, names: readonly string[]) => Promise<ReadonlyMap<string, ReadonlyMap<string, Buffer>>>;

export interface Certificates {
  /** Lists for HAProxy, by port; a port of which nothing could be had is missing. */
  readonly lists: ReadonlyMap<number, string>;
  /** Everything that is in use. */
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

export class CertificateFiles {
  readonly #dir: string;
  readonly #own: string;
  readonly #open: OpenSecrets;
  readonly #now: () => number;
  /** Of secrets that cannot be asked for now, as they were last: `namespace/name` to a file. */
  readonly #known = new Map<string, string>();

  /** @param dataDir Of the machine; people put files in `certificates/` of it. */
  constructor({dataDir, open, now}: {readonly dataDir: string; readonly open: OpenSecrets; readonly now: () => number}) {
    this.#dir = join(dataDir, 'agent', 'ingress');
    this.#own = join(dataDir, 'certificates');
    this.#open = open;
    this.#now = now;
  }

  async prepare(ingresses: readonly MachineIngress[]): Promise<Certificates> {
    await mkdir(this.#dir, {recursive: true, mode: 0o700});
    const problems: string[] = [];
    const byPort = new Map<number, string[]>();
    for (const {namespace, name, spec} of ingresses) {
      for (const tls of spec.tls) {
        const file = await this.#fileOf(namespace, tls).catch((error: unknown) => void problems.push(`${namespace}/${name}: ${'secret' in tls ? `secret ${tls.secret}` : tls.file}: ${error instanceof Error ? error.message : String(error)}`));
        if (file !== undefined) byPort.set(spec.listen.https, [...new Set([...(byPort.get(spec.listen.https) ?? []), file])]);
      }
    }
    const lists = new Map<number, string>();
    for (const [port, files] of byPort) lists.set(port, await this.#write('list', `${files.join('\n')}\n`));
    return {lists, files: [...new Set([...byPort.values()].flat()), ...lists.values()], problems};
  }

  /** Those that neither the plan of now nor the one before names. */
  async sweep(inUse: readonly string[]): Promise<void> {
    const kept = new Set(inUse);
    for (const name of await readdir(this.#dir)) if (!kept.has(join(this.#dir, name))) await rm(join(this.#dir, name), {force: true});
  }

  async #fileOf(namespace: string, tls: IngressTls): Promise<string> {
    if ('file' in tls) {
      const text = await readFile(join(this.#own, tls.file), 'utf8').catch(() => {
        throw new Error(`is not in ${this.#own} of this machine`);
      });
      return this.#checked(text, text);
    }
    const key = `${namespace}/${tls.secret}`;
    try {
      const data = (await this.#open(namespace, [tls.secret])).get(tls.secret);
      const [certificate, privateKey] = ['tls.crt', 'tls.key'].map((part) => data?.get(part)?.toString('utf8'));
      if (certificate === undefined || privateKey === undefined) throw new Error('it has not both tls.crt and tls.key');
      const file = await this.#checked(certificate, privateKey);
      this.#known.set(key, file);
      return file;
    } catch (error) {
      // As it was last, while it cannot be asked for; after a restart of the agent, by its own list.
      const known = this.#known.get(key) ?? (await readFile(this.#alias(key), 'utf8').catch(() => undefined));
      if (known !== undefined && (await isThere(known))) return known;
      throw error;
    } finally {
      const known = this.#known.get(key);
      if (known !== undefined) await writeFile(this.#alias(key), known, {mode: 0o600});
    }
  }

  /** Where it is written which file a secret was last; beside the folder that is swept. */
  #alias(key: string): string {
    return `${this.#dir}.${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  }

  async #checked(certificate: string, key: string): Promise<string> {
    const problem = pairProblem(certificate, key, this.#now());
    // One that is over is still spoken by: those who ask see what is wrong, rather than nothing.
    if (problem !== '' && !problem.startsWith('the certificate ended')) throw new Error(problem);
    return this.#write('pem', certificate === key ? certificate : `${certificate.trimEnd()}\n${key.trimEnd()}\n`);
  }

  async #write(ending: string, text: string): Promise<string> {
    const path = join(this.#dir, `${createHash('sha256').update(text).digest('hex').slice(0, 40)}.${ending}`);
    if (await isThere(path)) return path;
    await writeFile(`${path}.new`, text, {mode: 0o600});
    await rename(`${path}.new`, path);
    return path;
  }
}

const isThere = (path: string): Promise<boolean> => readFile(path).then(() => true, () => false);
