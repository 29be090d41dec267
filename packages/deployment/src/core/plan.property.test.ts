import fc from 'fast-check';
import {anApp, Miniature} from '../testing/cluster.ts';

const spec = fc.record({
  replicas: fc.integer({min: 1, max: 8}),
  maxSurge: fc.integer({min: 0, max: 4}),
  maxUnavailable: fc.integer({min: 0, max: 4}),
  startMs: fc.integer({min: 0, max: 2000}),
  stopMs: fc.integer({min: 0, max: 2000}),
  broken: fc.boolean(),
}).filter((drawn) => drawn.maxSurge + drawn.maxUnavailable > 0);

describe('a rolling update, whatever its bounds', () => {
  it('never has more than desired + surge, never fewer ready than desired - unavailable, and ends on one revision', () => {
    fc.assert(
      fc.property(spec, (drawn) => {
        const {replicas, maxSurge, maxUnavailable} = drawn;
        const update = {maxSurge, maxUnavailable, healthyFor: '300ms'};
        const cluster = new Miniature({app: anApp({replicas, update}), broken: new Set(drawn.broken ? [2] : []), startMs: drawn.startMs, stopMs: drawn.stopMs});
        cluster.settle();
        cluster.app = anApp({replicas, update, image: 'web:2'}, 2);
        for (let i = 0; i < 2000 && !(cluster.rollouts.length === 2 && ['completed', 'rolled-back'].includes(cluster.current.phase)); i++) {
          cluster.tick();
          expect(cluster.containers.filter((container) => !container.removing).length).toBeLessThanOrEqual(replicas + maxSurge);
          expect(cluster.ready()).toBeGreaterThanOrEqual(replicas - maxUnavailable);
        }
        expect(cluster.current.phase).toBe(drawn.broken ? 'rolled-back' : 'completed');
        cluster.settle();
        expect(cluster.containers.map((container) => container.revision)).toEqual(Array.from({length: replicas}, () => (drawn.broken ? 1 : 2)));
      }),
      {numRuns: 60},
    );
  });

  it('ends where it was told last, however often the app changes on the way', () => {
    const change = fc.record({replicas: fc.integer({min: 0, max: 6}), newImage: fc.boolean(), stopped: fc.boolean(), ticks: fc.integer({min: 0, max: 40})});
    fc.assert(
      fc.property(fc.array(change, {minLength: 1, maxLength: 8}), fc.constantFrom('rolling', 'recreate', 'port'), (changes, way) => {
        const shape = {update: {healthyFor: '300ms', strategy: way === 'recreate' ? ('recreate' as const) : ('rolling' as const)}, ports: way === 'port' ? [{container: 80, host: 8080}] : []};
        let revision = 1;
        const cluster = new Miniature({app: anApp({replicas: 2, ...shape})});
        cluster.settle();
        for (const step of changes) {
          if (step.newImage) revision += 1;
          cluster.app = {...anApp({replicas: step.replicas, image: `web:${revision}`, ...shape}, revision), stopped: step.stopped};
          for (let i = 0; i < step.ticks; i++) cluster.tick();
        }
        cluster.settle();
        const last = changes.at(-1);
        const desired = last?.stopped === true ? 0 : (last?.replicas ?? 2);
        expect(cluster.containers.map((container) => container.revision)).toEqual(Array.from({length: desired}, () => revision));
        expect(cluster.current.phase).toBe('completed');
      }),
      {numRuns: 60},
    );
  });
});
