/**
 * The node's assignment: fetched from the app manager, whose list is complete, and kept on disk so that the machine goes
 * on alone (law 8). What comes from the disk may be older than what the engine has, so it never justifies a removal.
 * Secrets are never in it: templates only name them.
 */
import {readFile, rm} from 'node:fs/promises';
import {call, type Bus} from '@hivemind/bus';
import {ContainerRecord, isError} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import * as z from 'zod';
import type {StoreRevision} from './core/timeline.ts';
import {workerErrors} from './errors.ts';
import {writeAtomically} from './files.ts';
import type {Session} from './session.ts';

export interface Assignment {
  readonly cluster: string;
  readonly revision: StoreRevision;
  readonly listed: ReadonlySet<string>;
  /** Bodies of the listed ones; one that is missing was removed meanwhile. */
  readonly records: ReadonlyMap<string, ContainerRecord>;
  /** What is not listed may not be removed. */
  readonly hold: boolean;
  /** The session under which it was fetched; undefined: it is from the disk. */
  readonly session: number | undefined;
}

const CachedAssignment = z.object({
  version: z.literal(1),
  cluster: z.string(),
  revision: z.object({epoch: z.string(), n: z.number()}),
  containers: z.array(ContainerRecord),
});

const PAGE = 50;
/** Bodies that the control plane is told not to send again. */
const MOST_KNOWN = 1000;

export class AssignmentSource {
  readonly #bus: Bus;
  readonly #node: string;
  readonly #session: Session;
  readonly #path: string;
  #records: ReadonlyMap<string, ContainerRecord> = new Map();
  #saving: Promise<void> = Promise.resolve();
  #saved = '';
  /** What the file lists, or may list before long. */
  #kept: ReadonlySet<string> = new Set();

  /** @param path of the cache file */
  constructor(bus: Bus, node: string, session: Session, path: string) {
    this.#bus = bus;
    this.#node = node;
    this.#session = session;
    this.#path = path;
  }

  /** What the control plane said last, before this process; undefined when that is not known or cannot be read. */
  async cached(): Promise<Assignment | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch {
      return undefined;
    }
    const parsed = CachedAssignment.safeParse(parseJson(text));
    if (!parsed.success) return undefined;
    const {cluster, revision, containers} = parsed.data;
    const records = new Map(containers.map((record) => [record.id, record]));
    this.#records = records;
    this.#kept = new Set(records.keys());
    return {cluster, revision, listed: this.#kept, records, hold: true, session: undefined};
  }

  /**
   * The whole list, from the control plane.
   * @throws `not-registered`; what the bus says when nobody answers
   */
  async fetch(): Promise<Assignment> {
    const session = this.#session.current();
    if (session === undefined) throw workerErrors['not-registered']('The node has no session.');
    const tokens = {node: this.#node};
    const known = [...this.#records.values()].slice(0, MOST_KNOWN).map(({id, generation}) => `${id}@${generation}`);
    const reply = await call(this.#bus, subjects.getAssignment, tokens, {session, known}).catch((error: unknown) => {
      if (isError(error, 'session-expired')) this.#session.expired(session);
      throw error;
    });
    const inline = new Map(reply.bodies.map((record) => [record.id, record]));
    const records = new Map<string, ContainerRecord>();
    const missing: string[] = [];
    for (const {id, generation} of reply.containers) {
      const known = inline.get(id) ?? this.#records.get(id);
      if (known?.generation === generation) records.set(id, known);
      else missing.push(id);
    }
    const pages = Array.from({length: Math.ceil(missing.length / PAGE)}, (_, page) => this.#bodies(missing.slice(page * PAGE, (page + 1) * PAGE)));
    for (const record of (await Promise.all(pages)).flat()) records.set(record.id, record);
    this.#records = records;
    return {cluster: reply.cluster, revision: reply.revision, listed: new Set(reply.containers.map(({id}) => id)), records, hold: reply.hold, session};
  }

  /**
   * Keeps it for the next process. Runs beside the work, but for removals, which wait for it. Rejects where it cannot
   * be written; there is none then: an outdated one would bring back what was removed since.
   */
  save({cluster, revision, records}: Assignment): Promise<void> {
    const content = JSON.stringify({version: 1, cluster, revision, containers: [...records.values()]});
    const fingerprint = JSON.stringify([cluster, revision.epoch, [...records.values()].map(({id, generation}) => [id, generation])]);
    if (fingerprint === this.#saved) return this.#saving;
    this.#saved = fingerprint;
    this.#kept = new Set([...this.#kept, ...records.keys()]);
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#replace(content, fingerprint, new Set(records.keys())));
    this.#saving.catch(() => (this.#saved = ''));
    return this.#saving;
  }

  /** Whether the file has something that is not listed: an agent that is killed before it is written anew would bring that back. */
  outdated({listed}: Assignment): boolean {
    return [...this.#kept].some((id) => !listed.has(id));
  }

  async #replace(content: string, fingerprint: string, ids: ReadonlySet<string>): Promise<void> {
    await writeAtomically(this.#path, content).catch(async () => {
      // On a full disk, what is outdated makes room for what is not.
      for (const old of [this.#path, `${this.#path}.new`]) await rm(old, {force: true});
      await writeAtomically(this.#path, content);
    });
    if (this.#saved === fingerprint) this.#kept = ids;
  }

  /** Halves the page where the bodies together are too large for a message. */
  async #bodies(ids: readonly string[]): Promise<readonly ContainerRecord[]> {
    try {
      return (await call(this.#bus, subjects.getContainers, {node: this.#node}, {ids: [...ids]})).containers;
    } catch (error) {
      if (!isError(error, 'too-large') || ids.length === 1) throw error;
      const half = Math.ceil(ids.length / 2);
      return [...(await this.#bodies(ids.slice(0, half))), ...(await this.#bodies(ids.slice(half)))];
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
