/** What the deployment manager decides with. */
import {Meta, Rollout, type AppRecord} from '@hivemind/contracts';
import * as z from 'zod';

export {Rollout};

/** One container of an app as the planner sees it. Times in ms since the epoch. */
export interface ObservedContainer {
  readonly id: string;
  readonly revision: number;
  /** It was told to go but is still there. */
  readonly removing: boolean;
  readonly ready: boolean;
  /** When it last became ready; undefined when it is not. */
  readonly readySince: number | undefined;
  /** Why it can never become ready by itself, in words; undefined while there is hope. */
  readonly hopeless: string | undefined;
  /** Of a job: it ended with exit code 0. */
  readonly completed: boolean;
}

export interface RolloutInput {
  readonly app: AppRecord;
  /** The app's rollouts; the one with the highest revision is current. */
  readonly rollouts: readonly Rollout[];
  readonly containers: readonly ObservedContainer[];
  /** Revisions that still exist, and so can be gone back to. */
  readonly revisions: ReadonlySet<number>;
  /** Of an app with one container a machine: the machines that it is on, or may be. */
  readonly machines?: number;
  /** Machines lead published ports to all containers: none holds a port of its machine. */
  readonly sharedPorts?: boolean;
  readonly now: number;
}

export interface RolloutDecision {
  /** Rollouts to write, by revision. Empty: nothing changed. */
  readonly writes: readonly Rollout[];
  /** When to look again even if nothing happens, ms since the epoch. */
  readonly wakeAt: number | undefined;
}

/** A rollout as the API answers it. */
export const Deployment = z.object({
  kind: z.literal('Deployment'),
  name: z.string(),
  namespace: z.string(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  spec: Rollout.pick({app: true, revision: true, previous: true, strategy: true}),
  status: Rollout.pick({phase: true, reason: true, message: true, counts: true, startedAt: true, finishedAt: true, deadlineAt: true}).extend({
    desired: z.number(),
    updated: z.number(),
    ready: z.number(),
  }),
  meta: Meta,
});
