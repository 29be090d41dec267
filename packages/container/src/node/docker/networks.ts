/** The cluster's engine networks, made when a container first needs one and remembered, so that a start asks for none. */
import {setTimeout as pause} from 'node:timers/promises';
import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {z} from 'zod';
import {asking, type Engine} from './engine.ts';
import {isStatus} from './errors.ts';

const PRUNE_TRIES = 50;
const PRUNE_RETRY_MS = 200;

const Existing = z.object({Labels: z.record(z.string(), z.string()).nullish()});
const Pruned = z.object({NetworksDeleted: z.array(z.string()).nullish()});

export class Networks {
  readonly #engine: Engine;
  readonly #cluster: string;
  /** Known to exist, or being made: many containers of one namespace start at once. */
  readonly #known = new Map<string, Promise<void>>();

  constructor(engine: Engine, cluster: string) {
    this.#engine = engine;
    this.#cluster = cluster;
  }

  /** Makes it when it is missing. @throws `runtime-conflict` when another program's network has the name */
  ensure(name: string): Promise<void> {
    let made = this.#known.get(name);
    if (!made) {
      made = this.#make(name);
      this.#known.set(name, made);
      made.catch(() => this.#known.delete(name));
    }
    return made;
  }

  /** It turned out to be missing: makes it again. */
  async restore(name: string): Promise<void> {
    this.#known.delete(name);
    await this.ensure(name);
  }

  /** The engine was away: what was known may not be so any more. */
  forget(): void {
    this.#known.clear();
  }

  async connect(name: string, runtimeId: string, aliases: readonly string[]): Promise<void> {
    await asking(this.#engine, `Connecting a container to the network ${name}`, async () => {
      try {
        await this.#engine.docker.getNetwork(name).connect({Container: runtimeId, EndpointConfig: {Aliases: [...aliases]}});
      } catch (error) {
        // "endpoint with name web already exists in network": a repeat after a crash.
        if (!(isStatus(error, 403) && String(error).includes('already exists'))) throw error;
      }
    });
  }

  /** Those that no running container uses. A container that starts later makes its network again. */
  async prune(): Promise<void> {
    this.#known.clear();
    const answer = await asking(this.#engine, 'Removing unused networks', () => this.#pruneOnce());
    for (const name of Pruned.parse(answer).NetworksDeleted ?? []) this.#known.delete(name);
  }

  /** The engine does one at a time, for all its clients. */
  async #pruneOnce(): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#engine.docker.pruneNetworks({filters: {label: [`${engineLabels.cluster}=${this.#cluster}`]}});
      } catch (error) {
        if (!isStatus(error, 409) || attempt === PRUNE_TRIES) throw error;
        await pause(PRUNE_RETRY_MS);
      }
    }
  }

  async #make(name: string): Promise<void> {
    const {docker} = this.#engine;
    const Labels = {[engineLabels.cluster]: this.#cluster};
    await asking(this.#engine, `Making the network ${name}`, async () => {
      try {
        await docker.createNetwork({Name: name, Driver: 'bridge', CheckDuplicate: true, Labels});
      } catch (error) {
        if (!isStatus(error, 409)) throw error;
        const existing = Existing.parse(await docker.getNetwork(name).inspect());
        if (existing.Labels?.[engineLabels.cluster] !== this.#cluster) {
          throw runtimeErrors['runtime-conflict'](`The engine has a network ${name} that is not this cluster's. Rename or remove it.`, {cause: error});
        }
      }
    });
  }
}
