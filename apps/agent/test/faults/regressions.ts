/** Seeds whose runs failed once, and what that was: `npm run test:faults -- --regressions` runs them all. */
export interface Regression {
  readonly seed: number;
  readonly minutes: number;
  readonly services: 'together' | 'apart';
  readonly found: string;
}

export const regressions: readonly Regression[] = [];
