/**
 * Node work as small optional hooks: each manager's node half adds what it knows to a container's life. Clean-up is safe
 * without set-up, and every step may be repeated after a crash.
 */
import type {ContainerRecord} from '@hivemind/contracts';
import type {ContainerNetwork, RuntimeContainer, RuntimeMount} from './runtime.ts';

/** What a hook adds before the container is made. */
export interface Contribution {
  readonly env?: Readonly<Record<string, string>>;
  readonly mounts?: readonly RuntimeMount[];
  /** The machine's network of containers, in place of networks of the engine's own for each namespace. */
  readonly network?: ContainerNetwork;
}

/** What a probe found, reported by the health hook to the worker. */
export interface Verdict {
  readonly ready: boolean;
  /** Failed liveness or startup: the worker restarts the container, with this as the reason. */
  readonly restart?: {readonly reason: string; readonly message: string};
  readonly message: string;
}

export interface NodeHook {
  readonly name: string;
  /** Before create. What it throws is shown as the container's reason and tried again with back-off. */
  prepare?(record: ContainerRecord, signal: AbortSignal): Promise<Contribution>;
  /** It runs (also: it was found running after the agent restarted). `report` may be called any time until `stopped`. */
  started?(record: ContainerRecord, container: RuntimeContainer, report: (verdict: Verdict) => void): void;
  /** It no longer runs, or is about to be stopped. */
  stopped?(record: ContainerRecord): void;
  /** It was removed for good. */
  removed?(record: ContainerRecord): Promise<void>;
}
