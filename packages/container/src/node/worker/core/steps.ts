/**
 * The steps of a container's life on a machine, declared once: the union of steps and the table of executors derive from
 * this map, so a step without an executor does not compile. Each is idempotent: "already done" is success.
 */
export interface StepArguments {
  /** Fetch the image. */
  pull: {readonly image: string};
  /** Let the hooks prepare, then make the engine's container. */
  create: object;
  /** Start the engine's container, for the first time or again. */
  start: object;
  /** Tell the hooks that it runs. */
  watch: object;
  /** Wait until nobody is led to it, and who is connected is done. */
  drain: {readonly forMs: number};
  /** Tell the hooks, send the signal, wait, kill. */
  stop: {readonly signal: string; readonly graceMs: number};
  /** Remove the engine's container. */
  remove: object;
  /** Let the hooks clean up, and report it as removed. */
  forget: object;
}

export type Action = keyof StepArguments;
export type StepOf<A extends Action> = {readonly action: A} & StepArguments[A];
export type Step = {[A in Action]: StepOf<A>}[Action];

/** One executor a step. */
export type Executors<Context> = {readonly [A in Action]: (context: Context, step: StepOf<A>, signal: AbortSignal) => Promise<void>};
