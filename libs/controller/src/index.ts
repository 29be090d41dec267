export {systemClock, type Clock} from './clock.ts';
export {createController, type Controller, type ControllerHooks, type ControllerOptions, type ControllerStats} from './controller.ts';
export {runAsLeader, type ElectionStore, type Leader, type LeadershipOptions} from './leadership.ts';
