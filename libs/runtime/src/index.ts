export * from './runtime.ts';
export * from './hook.ts';
export * from './errors.ts';
