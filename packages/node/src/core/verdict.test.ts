import {judge, type Signals, type Standing} from './verdict.ts';

const patience = {unreachableAfterMs: 1_000, deadAfterMs: 4_000};
const quiet: Signals = {silentMs: undefined, gossip: 'unknown', confirmedDead: false, grace: false};
const ruled = (signals: Partial<Signals>, before?: Standing) => judge(before, {...quiet, ...signals}, patience);
const dead: Standing = {state: 'dead', degraded: false, reason: 'GossipSilent', message: 'as before'};

describe('a verdict', () => {
  it.each<[string, Partial<Signals>, string, string]>([
    ['lease kept, no ring', {}, 'ready', 'Heard'],
    ['lease kept, seen', {gossip: 'alive'}, 'ready', 'Heard'],
    ['lease gone, seen', {silentMs: 60_000, gossip: 'alive'}, 'unreachable', 'LeaseLapsed'],
    ['lease gone, not seen', {silentMs: 0, gossip: 'gone'}, 'dead', 'GossipSilent'],
    ['lease just gone, no ring', {silentMs: 0}, 'ready', 'Heard'],
    ['lease gone, no ring', {silentMs: 1_000}, 'unreachable', 'LeaseLapsed'],
    ['lease gone for long, no ring', {silentMs: 4_000}, 'dead', 'NotHeard'],
    ['a person vouches for its end', {silentMs: 0, gossip: 'alive', confirmedDead: true}, 'dead', 'ConfirmedDead'],
  ])('%s: %j', (_what, signals, state, reason) => {
    expect(ruled(signals).standing).toMatchObject({state, reason});
  });

  it('is degraded, and kept, where gossip alone says that it is gone', () => {
    expect(ruled({gossip: 'gone'}).standing).toMatchObject({state: 'ready', degraded: true});
  });

  it('is dead of nobody while the control plane itself was away', () => {
    for (const gossip of ['alive', 'gone', 'unknown'] as const) expect(ruled({silentMs: 1e9, gossip, grace: true}).standing.state).toBe('unreachable');
  });

  it('stays dead until it is heard or seen', () => {
    expect(ruled({silentMs: 0}, dead).standing).toBe(dead);
    expect(ruled({silentMs: 0, grace: true}, dead).standing).toBe(dead);
    expect(ruled({silentMs: 2_000, gossip: 'alive'}, dead).standing.state).toBe('unreachable');
    expect(ruled({}, dead).standing.state).toBe('ready');
  });

  it('says when silence alone would change it', () => {
    expect(ruled({silentMs: 300}).againInMs).toBe(700);
    expect(ruled({silentMs: 1_500}).againInMs).toBe(2_500);
    expect(ruled({silentMs: 9_000}).againInMs).toBeUndefined();
    expect(ruled({silentMs: 9_000, gossip: 'alive'}).againInMs).toBeUndefined();
  });
});
