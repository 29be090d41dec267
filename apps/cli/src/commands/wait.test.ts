import {AppView} from '../api/views.ts';
import {progressText, verdictOf} from './wait.ts';

const app = (phase: string, conditions: readonly object[] = [], rest: {mode?: string; ready?: number; updated?: number; desired?: number} = {}) => AppView.parse({
  name: 'web',
  spec: {image: 'x', mode: rest.mode ?? 'replicated'},
  status: {phase, replicas: {desired: rest.desired ?? 2, running: 2, ready: rest.ready ?? 2, updated: rest.updated ?? 2}, revision: 2, conditions},
});
const condition = (type: string, status: string, reason: string, message = 'why') => ({type, status, reason, message});

describe('what an app that is waited for has come to', () => {
  it.each([
    ['done', app('running')],
    ['done', app('stopped')],
    ['done', app('completed', [], {mode: 'job'})],
    ['waiting', app('running', [], {mode: 'job'})],
    // The rollout of the revision before is still what the server sees.
    ['waiting', app('running', [], {updated: 0})],
    ['waiting', app('progressing')],
    ['waiting', app('pending', [condition('Placed', 'false', 'Unplaced')])],
    ['waiting', app('degraded', [condition('RolledOut', 'unknown', 'Progressing')])],
    // A crash may pass, as when what it needs comes up later.
    ['waiting', app('failed', [condition('Failing', 'true', 'CrashLoop')])],
    ['failed', app('failed', [condition('Failing', 'true', 'ImageNotFound')])],
    ['failed', app('degraded', [condition('RolledOut', 'false', 'RolledBack')])],
    ['failed', app('failed', [condition('RolledOut', 'false', 'Failed')])],
    ['waiting', app('progressing', [condition('RolledOut', 'false', 'Superseded')])],
  ])('%s', (verdict, view) => {
    expect(verdictOf(view)).toBe(verdict);
  });

  it('is told in a line, with the reason', () => {
    expect(progressText(app('progressing', [condition('RolledOut', 'unknown', 'Progressing')], {ready: 1}))).toBe('web: progressing, 1 of 2 ready');
    expect(progressText(app('failed', [condition('Failing', 'true', 'CrashLoop', 'exit code 3; next attempt at 12:00')], {ready: 0}))).toBe('web: failed, 0 of 2 ready (exit code 3)');
  });
});
