/** What is measured, each from a seed alone. Times are simulated ms unless they say otherwise. */
import {
  DeathWatch, encodeMetadata, type FalseDeath, type NetworkConditions, pauseAtRandom, type ProtocolConfig, SimulatedRing, stallAtRandom,
} from '@hivemind/membership/testing';

/** What a machine usually tells of itself. */
export const usualMeta = encodeMetadata({zone: 'eu-west-1a', agentVersion: '0.1.0', api: '10.0.0.1:7600'});

export interface Detection {
  /** A member was killed → the first that declared it dead. */
  readonly first: number[];
  /** → the last. */
  readonly all: number[];
}

/** Kills one member after the other, with time between. */
export function detection(seed: number, members: number, config: ProtocolConfig, trials: number, what: 'process' | 'machine'): Detection {
  const found: Detection = {first: [], all: []};
  let killed = '';
  let since = 0;
  let known = 0;
  const ring = new SimulatedRing({
    seed, members, config,
    onEvent: (_, event, now) => {
      if (event.type !== 'died' || event.member.name !== killed) return;
      if (known++ === 0) found.first.push(now - since);
      if (known === members - found.all.length - 1) found.all.push(now - since);
    },
  });
  ring.run(2000);
  for (let trial = 0; trial < trials; trial++) {
    ring.run(500 + ring.random() * 500);
    const victim = ring.host(trial);
    [killed, since, known] = [victim.name, ring.now, 0];
    ring.kill(victim.index, what);
    if (ring.runUntil(() => found.all.length > trial, 120_000, 50) === undefined) throw new Error(`not known to all after 120 s (seed ${seed})`);
  }
  return found;
}

export interface Troubles {
  /** In ms. */
  readonly duration: number;
  readonly network?: Partial<NetworkConditions>;
  /** 8 % stand still for 0.2 to 30 s. */
  readonly pauses?: boolean;
  /** Every event loop is held up for 50 to 200 ms, so often on average. */
  readonly stallEvery?: number;
}

export interface Falsehoods {
  readonly deaths: number;
  readonly false: readonly FalseDeath[];
}

export function troubled(seed: number, members: number, config: ProtocolConfig, {duration, network, pauses, stallEvery}: Troubles): Falsehoods {
  const watch = new DeathWatch(config, members);
  const ring: SimulatedRing = new SimulatedRing({
    seed, members, config,
    ...(network ? {network} : {}),
    onEvent: (observer, event, now) => watch.saw(observer, event, now, ring.hosts),
  });
  if (pauses) pauseAtRandom(ring, {share: 0.08, shortest: 200, longest: 30_000});
  if (stallEvery !== undefined) stallAtRandom(ring, stallEvery);
  ring.run(duration);
  return {deaths: watch.deaths, false: watch.false};
}

/** How many of `trials` members that stood still for `ms` were declared dead by anyone. */
export function diedOfPause(seed: number, config: ProtocolConfig, ms: number, trials: number): number {
  const dead = new Set<string>();
  const ring = new SimulatedRing({
    seed, members: 100, config,
    onEvent: (_, event) => {
      if (event.type === 'died') dead.add(event.member.name);
    },
  });
  ring.run(2000);
  for (let i = 0; i < trials; i++) {
    ring.run(500);
    ring.pause(i, ms);
    ring.run(ms + 2500);
  }
  return dead.size;
}

export interface Rest {
  /** Bytes a second a member sends: datagrams, streams; without UDP's and TCP's own headers. */
  readonly packets: number;
  readonly streams: number;
  readonly datagrams: number;
}

export function atRest(seed: number, members: number, config: ProtocolConfig, seconds: number): Rest {
  const ring = new SimulatedRing({seed, members, config, meta: usualMeta, measureBytes: true});
  ring.run(2000);
  const before = {...ring.sent};
  ring.run(seconds * 1000);
  const each = (bytes: number): number => bytes / members / seconds;
  return {
    packets: each(ring.sent.bytes - before.bytes),
    streams: each(ring.sent.streamBytes - before.streamBytes),
    datagrams: each(ring.sent.packets - before.packets),
  };
}

export interface Speed {
  /** ms of CPU for one round: each member probes once. The best of several. */
  readonly round: number;
  /** ms of simulated time of one round. */
  readonly interval: number;
  readonly residentMb: number;
}

export function speed(seed: number, members: number, config: ProtocolConfig, rounds: number): Speed {
  const ring = new SimulatedRing({seed, members, config});
  ring.run(3 * config.probeInterval);
  let best = Infinity;
  for (let i = 0; i < rounds; i++) {
    const start = process.cpuUsage();
    ring.run(config.probeInterval);
    const {user, system} = process.cpuUsage(start);
    best = Math.min(best, (user + system) / 1000);
  }
  return {round: best, interval: config.probeInterval, residentMb: process.memoryUsage().rss / 1e6};
}
