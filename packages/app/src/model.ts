/** What the app manager decides with: one app, what runs of it, and what to do about the difference. */
import type {AppRecord, ContainerRecord, ContainerStatus, Rollout} from '@hivemind/contracts';

/** A container as placed, and as its node last reported it. */
export interface ContainerView {
  readonly record: ContainerRecord;
  readonly status?: ContainerStatus;
}

/** Everything under one name `namespace/app`. */
export interface AppView {
  /** Undefined: deleted; what is left of it has to go. */
  readonly app?: AppRecord;
  /** The app's current rollout. */
  readonly rollout?: Rollout;
  readonly containers: readonly ContainerView[];
}

/** A dependency that does not hold yet. */
export interface Waiting {
  readonly app: string;
  /** What is missing, in words. */
  readonly message: string;
}

/** What the reconciler is to do; each part is idempotent. */
export interface Steps {
  /** Place this many more containers of a revision. */
  readonly create: readonly {readonly revision: number; readonly count: number}[];
  /** Tell their nodes to stop and remove them. */
  readonly remove: readonly string[];
  /** They are gone from their nodes: delete the records and free what they held. */
  readonly forget: readonly string[];
  /** Nothing is left of a deleted app: delete its record and revisions. */
  readonly deleteApp: boolean;
  /** ms since the epoch: look again then, even if nothing is heard. */
  readonly wakeAt?: number;
}
