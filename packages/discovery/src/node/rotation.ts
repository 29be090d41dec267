/** Whether any machine still leads somebody to a container of this one. */
import type {NamesEverywhere} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {NameItem, Point} from '../model.ts';

export interface RotationOptions {
  readonly node: string;
  readonly clock: Clock;
}

/** The first word of the one who counts is waited for so long (ms). */
const FIRST_WORD_MS = 1_000;
/** Nothing was heard for so long (ms), twice what a beacon takes: there is no one to wait for. */
const SILENT_MS = 12_000;

export class Rotation {
  readonly #options: RotationOptions;
  /** Containers of this machine, and up to where that was told first. */
  readonly #own = new Map<string, {readonly ready: boolean; readonly at: Point}>();
  readonly #waiting = new Set<() => void>();
  #everywhere: (NamesEverywhere & {readonly epoch: string}) | undefined;
  #heardAt: number | undefined;
  #connected = true;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  told(items: readonly NameItem[], whole: boolean, at: Point): void {
    const before = new Map(this.#own);
    if (whole) this.#own.clear();
    for (const {kind, key, value} of items) {
      if (kind !== 'endpoint') continue;
      const known = before.get(key);
      if (value?.node !== this.#options.node) this.#own.delete(key);
      else this.#own.set(key, known?.ready === value.ready && known.at.epoch === at.epoch ? known : {ready: value.ready, at});
    }
    this.#wake();
  }

  /** @param everywhere undefined: the control plane is of a release that does not count */
  heard(epoch: string, everywhere: NamesEverywhere | undefined): void {
    this.#everywhere = everywhere && {...everywhere, epoch};
    this.#heardAt = this.#options.clock.monotonic();
    this.#wake();
  }

  /** Of the bus. */
  connected(is: boolean): void {
    this.#connected = is;
    this.#wake();
  }

  /**
   * Resolves when no ready machine leads anybody to the container, or there is nobody who could say so; at the latest after `ms`, then
   * with what was waited for in vain.
   * @throws the signal's reason
   */
  async left(container: string, ms: number, signal: AbortSignal): Promise<string | undefined> {
    const {clock} = this.#options;
    const start = clock.monotonic();
    for (;;) {
      signal.throwIfAborted();
      const passed = clock.monotonic() - start;
      const wanting = this.#wanting(container, passed);
      if (wanting === undefined || passed >= ms) return wanting;
      await this.#change(Math.min(ms, passed < FIRST_WORD_MS ? FIRST_WORD_MS : ms) - passed, signal);
    }
  }

  #wanting(container: string, passedMs: number): string | undefined {
    const own = this.#own.get(container);
    const now = this.#options.clock.monotonic();
    if (own === undefined || !this.#connected || (this.#heardAt !== undefined && now - this.#heardAt > SILENT_MS)) return undefined;
    if (own.ready) return 'the discovery manager, to take it out of rotation';
    const everywhere = this.#everywhere;
    if (everywhere === undefined) return this.#heardAt === undefined && passedMs < FIRST_WORD_MS ? 'the discovery manager' : undefined;
    if (everywhere.epoch === own.at.epoch && everywhere.n !== null && everywhere.n >= own.at.n) return undefined;
    return everywhere.behind.length === 0 ? 'machines that did not say which names they have applied' : everywhere.behind.join(', ');
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when something is otherwise, `ms` passed, or the signal aborts. */
  #change(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = this.#options.clock.setTimer(done, ms);
      signal.addEventListener('abort', done, {once: true});
      this.#waiting.add(done);
    });
  }
}
