export {createHealthHook, type HealthHookOptions} from './hook.ts';
