export * from './error.ts';
export * from './subject.ts';
