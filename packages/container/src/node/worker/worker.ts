/**
 * Makes the machine be as its assignment says: one idempotent step at a time for each container, all containers beside
 * each other. Put together here from who keeps the assignment, who follows the engine, who acts and who reports.
 */
import {join} from 'node:path';
import type {Bus} from '@hivemind/bus';
import type {ContainerRecord, RegistryCredentials} from '@hivemind/contracts';
import {type Clock, systemClock} from '@hivemind/controller';
import type {NodeHook, Runtime} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type * as z from 'zod';
import type {Retention} from '../images/core/retention.ts';
import {ImageKeeper} from '../images/keeper.ts';
import {connectionsTo} from './connections.ts';
import {Containers} from './containers.ts';
import type {Rotation} from './drain.ts';
import {EngineWatch} from './engine-watch.ts';
import {createExecutors} from './executors.ts';
import {AssignmentKeeper} from './keeper.ts';
import {Ledger} from './ledger.ts';
import {Reporter} from './reporter.ts';
import type {Surroundings} from './runtime-spec.ts';
import type {Session} from './session.ts';

export interface WorkerOptions {
  readonly node: string;
  readonly bus: Bus;
  readonly runtime: Runtime;
  /** Absolute; what the worker needs to go on alone is kept in `<dataDir>/agent`. */
  readonly dataDir: string;
  readonly session: Session;
  readonly hooks: readonly NodeHook[];
  /** How to fetch an image of this container; none when absent. */
  readonly credentials?: (record: ContainerRecord, signal: AbortSignal) => Promise<z.infer<typeof RegistryCredentials> | undefined>;
  /** Who leads traffic to the containers: asked before one that serves is stopped for good. */
  readonly rotation?: Rotation;
  /** How many are connected to the container with this main process; the kernel's own lists when absent. */
  readonly connections?: (pid: number) => Promise<number>;
  /** Called when the engine is lost, and when it is back. */
  readonly onEngine?: (available: boolean) => void;
  /** Which images it lets go of; none when absent. */
  readonly retention?: Retention;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface Worker {
  /** Resolves when it has begun; containers come up beside. */
  start(): Promise<void>;
  /** Leaves every container as it is; finishes the steps that run. */
  stop(): Promise<void>;
  /** Stop and start now, whatever its back-off. @throws `unassigned` 404 */
  restart(id: string): Promise<void>;
  /** Whether something runs here, or may, that is stopped when the control plane is not heard for long. */
  hasGuarded(): boolean;
  /** Somebody else fetched an image from a registry: it can come again. */
  pulled(image: string): void;
}

export function createWorker(options: WorkerOptions): Worker {
  const {node, bus, runtime, dataDir, session, hooks, logger, clock = systemClock} = options;
  const directory = join(dataDir, 'agent');
  const ledger = new Ledger(join(directory, 'ledger.json'), clock, logger);
  const reporter: Reporter = new Reporter({bus, node, session, clock, logger, snapshot: () => containers.snapshot()});
  const executors = createExecutors({
    runtime,
    hooks,
    credentials: options.credentials ?? (() => Promise.resolve(undefined)),
    rotation: options.rotation,
    connections: options.connections ?? connectionsTo,
    surroundings: (record) => surroundingsOf(record, keeper, options),
    clock,
    logger,
    onVerdict: (entry, verdict) => containers.onVerdict(entry, verdict),
    onProgress: (entry) => containers.publish(entry),
    onEvent: (entry, cause) => containers.tell(entry, cause),
    onForgotten: (entry) => containers.forget(entry),
    onPulled: (image) => images?.pulled(image),
  });
  const containers: Containers = new Containers({node, session, runtime, hooks, executors, reporter, ledger, clock, logger});
  const keeper = new AssignmentKeeper({
    ...{bus, node, session, clock, logger},
    path: join(directory, 'assignment.json'),
    observed: () => containers.observed(),
    onAssignment: (assignment, held) => {
      containers.assign(assignment, held);
      if (!held) ledger.retain(assignment.listed);
    },
  });
  const images = options.retention && new ImageKeeper({
    ...{node, runtime, clock, logger},
    path: join(directory, 'images.json'),
    retention: options.retention,
    wanted: () => keeper.current && [...keeper.current.records.values()].map(({template}) => template.image),
    tell: (event) => reporter.event(event),
  });
  let available: boolean | undefined;
  const setAvailable = (now: boolean): void => {
    if (available !== now) options.onEngine?.(now);
    available = now;
  };
  const watch = new EngineWatch({
    ...{runtime, clock, logger},
    onListing: () => containers.onListing(),
    onList: (list) => {
      containers.onList(list);
      setAvailable(true);
      reporter.start();
      // Strangers may have shown themselves, and what was held for want of a look can go.
      if (keeper.current) keeper.refresh();
    },
    onLost: () => {
      containers.onLost();
      setAvailable(false);
    },
    onEvent: (event) => containers.onEvent(event),
  });

  return {
    async start() {
      await ledger.load();
      watch.start();
      images?.start();
      await keeper.start();
    },
    async stop() {
      await Promise.all([keeper.stop(), watch.stop(), images?.stop()]);
      await containers.stop();
      await reporter.stop();
      await ledger.stop();
    },
    restart: (id) => containers.restart(id),
    hasGuarded: () => containers.hasGuarded(),
    pulled: (image) => images?.pulled(image),
  };
}

function surroundingsOf({appUid}: ContainerRecord, keeper: AssignmentKeeper, {node, dataDir}: WorkerOptions): Surroundings {
  if (!keeper.current) throw new TypeError('a container is made before an assignment is known');
  const {cluster, revision, records} = keeper.current;
  const replicas = [...records.values()].filter((other) => other.appUid === appUid).length;
  return {cluster, node, dataDir, revision, replicas};
}
