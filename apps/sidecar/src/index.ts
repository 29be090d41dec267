/** The machine's long-lived process beside the agent. */
export {startSidecar, type Sidecar, type SidecarOptions} from './sidecar.ts';
export {runSidecar, type RunOptions} from './run.ts';
export {sidecarErrors} from './errors.ts';
