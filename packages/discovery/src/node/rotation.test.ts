import type {NameItem} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {Rotation} from './rotation.ts';

const endpoint = (key: string, node: string, ready: boolean): NameItem => ({kind: 'endpoint', key, value: {namespace: 'shop', service: 'web', node, address: '10.244.1.2', ports: [], revision: 1, ready}});
const everywhere = (n: number | null, behind: string[] = []) => ({by: 'leader', n, behind, everyMs: 2});
const at = (n: number) => ({epoch: 'e', n});
const never = new AbortController().signal;

describe('a container has left', () => {
  let clock: FakeClock;
  let rotation: Rotation;
  beforeEach(() => {
    clock = new FakeClock();
    rotation = new Rotation({node: 'm1', clock});
  });

  it('when all machines have applied the point at which it went out, however often that is told again', async () => {
    rotation.told([endpoint('a', 'm1', true)], true, at(5));
    rotation.heard('e', everywhere(5));
    let over = false;
    const left = rotation.left('a', 10_000, never).finally(() => (over = true));
    rotation.told([endpoint('a', 'm1', false)], false, at(8));
    rotation.told([endpoint('a', 'm1', false)], false, at(12));
    rotation.heard('e', everywhere(7));
    await clock.advance(5_000);
    expect(over).toBe(false);
    rotation.heard('e', everywhere(8));
    expect(await left).toBeUndefined();
  });

  it('at once where nobody could say so: it was never told of, the bus or the leader is away, or none counts', async () => {
    expect(await rotation.left('a', 10_000, never)).toBeUndefined();
    rotation.told([endpoint('a', 'm1', false)], true, at(5));
    rotation.heard('e', undefined);
    expect(await rotation.left('a', 10_000, never)).toBeUndefined();
    rotation.heard('e', everywhere(4));
    rotation.connected(false);
    expect(await rotation.left('a', 10_000, never)).toBeUndefined();
    rotation.connected(true);
    expect(await rotation.left('a', 0, never)).toBeDefined();
    await clock.advance(12_001);
    expect(await rotation.left('a', 10_000, never)).toBeUndefined();
  });

  it('after a second where a leader is yet to be heard', async () => {
    rotation.told([endpoint('a', 'm1', false)], true, at(5));
    let over = false;
    const left = rotation.left('a', 10_000, never).finally(() => (over = true));
    await clock.advance(900);
    expect(over).toBe(false);
    await clock.advance(200);
    expect(await left).toBeUndefined();
  });

  it('in vain after so long, with the names of those who hold it up', async () => {
    rotation.told([endpoint('a', 'm1', false), endpoint('b', 'm2', true)], true, at(5));
    rotation.heard('e', everywhere(4, ['m2', 'm3']));
    const left = rotation.left('a', 3_000, never);
    await clock.advance(3_000);
    expect(await left).toBe('m2, m3');
    // Those of other machines are not ours to wait for.
    expect(await rotation.left('b', 3_000, never)).toBeUndefined();
  });

  it('is not waited for any longer when told so', async () => {
    rotation.told([endpoint('a', 'm1', true)], true, at(5));
    rotation.heard('e', everywhere(5));
    const ending = new AbortController();
    const left = rotation.left('a', 3_000, ending.signal);
    ending.abort(new Error('over'));
    await expect(left).rejects.toThrow('over');
    expect(clock.pending).toBe(0);
  });
});
