/**
 * Since when each machine has not been heard, as this process saw it. Measured anew by each leader with its own clock, which
 * only goes forward: clocks of two processes are never compared, and a leader that is new gives every machine its full time.
 */
import type {Clock} from '@hivemind/controller';
import type {ClusterView} from './view.ts';

export class Silence {
  readonly #view: Pick<ClusterView, 'nodes' | 'nodeLeases' | 'nodeStatus'>;
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Of each machine that is not heard: the session that lapsed, and when that was seen. */
  readonly #since = new Map<string, {readonly session: number; readonly at: number}>();
  readonly #stops: readonly (() => void)[];

  constructor(view: Pick<ClusterView, 'nodes' | 'nodeLeases' | 'nodeStatus'>, clock: Pick<Clock, 'monotonic'>) {
    this.#view = view;
    this.#clock = clock;
    for (const {key} of view.nodes.list()) this.#look(key);
    this.#stops = [view.nodeLeases, view.nodeStatus, view.nodes].map((informer) => informer.onChange((node) => this.#look(node)));
  }

  /** ms; undefined while it is heard. */
  ms(node: string): number | undefined {
    const silent = this.#look(node);
    return silent && this.#clock.monotonic() - silent.at;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #look(node: string): {readonly at: number} | undefined {
    if (this.#view.nodeLeases.get(node) !== undefined) {
      this.#since.delete(node);
      return undefined;
    }
    const session = this.#view.nodeStatus.get(node)?.value.session ?? 0;
    const before = this.#since.get(node);
    // Another session than the one that lapsed: it was heard in between, though that was not seen.
    if (before?.session === session) return before;
    const silent = {session, at: this.#clock.monotonic()};
    this.#since.set(node, silent);
    return silent;
  }
}
