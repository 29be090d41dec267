/** Where the driver keeps what containerd does not: files of containers, logs, pipes, volumes. It outlives every agent. */
import {execFile} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {mkdir, readdir, readFile, rename, rm, rmdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import * as z from 'zod';
import {errnoOf} from './errno.ts';
import {markIn} from './logs/reader-mark.ts';
import {ownerLives, ownMark} from './owner.ts';

/** What is remembered of a container's last run. */
export const RunRecord = z.object({
  startedAt: z.string().optional(),
  error: z.string().optional(),
  exitCode: z.number().optional(),
  finishedAt: z.string().optional(),
  oomKilled: z.boolean().optional(),
});
export type RunRecord = z.infer<typeof RunRecord>;

const SPARE = '.spare';
const DRAFT = '.new-';
/** In a container's directory: whose it is. */
const CLUSTER = 'cluster';
/** Pipes made at once: a program is started for it. */
const BATCH = 32;

export class Place {
  readonly root: string;
  /** Pipes that nobody uses yet. */
  readonly #spare: string[] = [];
  #making: Promise<void> | undefined;

  constructor(root: string) {
    this.root = root;
  }

  files(id: string): string {
    return join(this.root, 'containers', id);
  }

  log(id: string): string {
    return join(this.root, 'logs', id);
  }

  /** Of a container's main process, or of a command run in it. */
  pipes(id: string, name = 'main'): string {
    return join(this.root, 'pipes', id, name);
  }

  /** Says which process reads the output of a cluster's containers. */
  reader(cluster: string): string {
    return markIn(join(this.root, 'pipes'), cluster);
  }

  volume(name: string): string {
    return join(this.root, 'volumes', name);
  }

  /** Pipes of these names in a directory. Those that are there stay. */
  async makePipes(dir: string, names: readonly string[]): Promise<void> {
    await mkdir(dir, {recursive: true, mode: 0o700});
    for (const name of names) {
      while (this.#spare.length === 0) await (this.#making ??= this.#makeSpare());
      const spare = this.#spare.pop();
      if (spare !== undefined) await rename(spare, join(dir, name));
    }
    if (this.#spare.length < BATCH / 4) void (this.#making ??= this.#makeSpare()).catch(() => undefined);
  }

  async run(id: string): Promise<RunRecord> {
    try {
      return RunRecord.parse(JSON.parse(await readFile(join(this.files(id), 'run.json'), 'utf8')));
    } catch {
      // Not run yet, or cut off while it was written: what containerd says goes.
      return {};
    }
  }

  async setRun(id: string, record: RunRecord): Promise<void> {
    const path = join(this.files(id), 'run.json');
    await writeFile(`${path}.new`, JSON.stringify(record));
    await rename(`${path}.new`, path);
  }

  /** All of a container's, its log too. */
  async remove(id: string): Promise<void> {
    await Promise.all([this.files(id), this.log(id), join(this.root, 'pipes', id)].map((path) => rm(path, {recursive: true, force: true})));
  }

  /** Begins a container's directory. Until containerd knows of the container, this alone says that there is something. */
  async begin(id: string, cluster: string): Promise<void> {
    // It is there with its mark, or not at all.
    const draft = join(this.root, 'containers', `${DRAFT}${await ownMark()}-${randomUUID()}`);
    await mkdir(draft, {recursive: true});
    await writeFile(join(draft, CLUSTER), cluster);
    await rename(draft, this.files(id)).catch(async (error: unknown) => {
      await rm(draft, {recursive: true, force: true});
      if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
    });
  }

  /**
   * Removes what processes left that were killed: spare pipes, those of commands, and the files of a cluster's containers that never came to be.
   * @param known containers that there are, whoever's. @param making those that are being made
   * @returns commands whose process is gone, by their container
   */
  async sweep(cluster: string, known: ReadonlySet<string>, making: ReadonlySet<string>): Promise<readonly {readonly id: string; readonly execId: string}[]> {
    const pipes = join(this.root, 'pipes');
    for (const name of await namesIn(pipes)) {
      // That of earlier releases says no owner.
      if (name === SPARE || (name.startsWith(`${SPARE}-`) && !(await ownerLives(name.slice(SPARE.length + 1))))) await rm(join(pipes, name), {recursive: true, force: true});
    }
    for (const id of await namesIn(join(this.root, 'containers'))) {
      const drafter = /^\.new-(\d+-\d+)-/.exec(id)?.[1];
      if (drafter !== undefined && !(await ownerLives(drafter))) await rm(this.files(id), {recursive: true, force: true});
      if (known.has(id) || making.has(id) || (await readFile(join(this.files(id), CLUSTER), 'utf8').catch(() => '')) !== cluster) continue;
      await this.remove(id);
    }
    const left = [];
    for (const id of known) {
      for (const execId of await namesIn(join(pipes, id))) {
        const mark = /^exec-(\d+-\d+)-/.exec(execId)?.[1];
        if (mark === undefined || (await ownerLives(mark))) continue;
        await rm(join(pipes, id, execId), {recursive: true, force: true});
        left.push({id, execId});
      }
    }
    return left;
  }

  async #makeSpare(): Promise<void> {
    try {
      const dir = join(this.root, 'pipes', `${SPARE}-${await ownMark()}`);
      await mkdir(dir, {recursive: true, mode: 0o700});
      const paths = Array.from({length: BATCH}, () => join(dir, randomUUID()));
      // Node has no call for it.
      await promisify(execFile)('mkfifo', ['-m', '600', ...paths]);
      this.#spare.push(...paths);
    } finally {
      this.#making = undefined;
    }
  }

  /** Spare pipes are this process's alone. */
  async close(): Promise<void> {
    await this.#making?.catch(() => undefined);
    await Promise.all(this.#spare.splice(0).map((path) => rm(path, {force: true})));
    // Others of this process may have some there yet.
    await rmdir(join(this.root, 'pipes', `${SPARE}-${await ownMark()}`)).catch(() => undefined);
  }
}

async function namesIn(dir: string): Promise<readonly string[]> {
  return readdir(dir).catch(() => []);
}
