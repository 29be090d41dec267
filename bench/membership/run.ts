/**
 * The membership protocol measured on a simulated network; the tables of docs/membership.md.
 *
 *   node bench/membership/run.ts detection [--members 100] [--seed 1] [--trials 50] [--variant Hivemind]
 *   node bench/membership/run.ts pauses    [--members 128] [--seed 1] [--seeds 20] [--minutes 30] [--variant Hivemind]
 *   node bench/membership/run.ts curve     [--seed 1]             detection against tolerance of pauses
 *   node bench/membership/run.ts rest      [--members 100]        bytes a second a member
 *   node bench/membership/run.ts speed     [--members 10000]      one round of the ring in CPU time
 *
 * The same seed gives the same run. Exit status 1: a *must* was missed; the seed that shows it is printed.
 */
import {parseArgs} from 'node:util';
import {defaultConfig, memberlistAtRest, type ProtocolConfig, suspicionBounds} from '@hivemind/membership/testing';
import {atRest, detection, diedOfPause, speed, troubled, usualMeta} from './scenarios.ts';
import {variants} from './variants.ts';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    members: {type: 'string'}, seed: {type: 'string', default: '1'}, seeds: {type: 'string', default: '20'}, minutes: {type: 'string', default: '30'},
    trials: {type: 'string', default: '50'}, variant: {type: 'string'}, loss: {type: 'string', default: '0'},
  },
});
const seed = Number(values.seed);
const members = (usual: number): number => Number(values.members ?? usual);

const parts: Readonly<Record<string, () => void>> = {detection: measureDetection, pauses: measurePauses, curve: measureCurve, rest: measureRest, speed: measureSpeed};
const part = parts[positionals[0] ?? ''];
if (!part) {
  console.error(`Which part? ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
part();

function chosen(): [string, ProtocolConfig][] {
  if (values.variant === undefined) return Object.entries(variants);
  const config = variants[values.variant];
  if (!config) throw new Error(`--variant ${values.variant}: there are ${Object.keys(variants).join(', ')}`);
  return [[values.variant, config]];
}

function measureDetection(): void {
  const n = members(100);
  const trials = Number(values.trials);
  console.log('| members | protocol | first p50 | p90 | p99 | all p50 | p90 | p99 | false deaths | … seen by the well |\n|---|---|---|---|---|---|---|---|---|---|');
  for (const [name, config] of chosen()) {
    // A ring loses at most half of its members to trials.
    const perRing = Math.max(1, Math.min(trials, Math.floor(n / 2), 10));
    const found = {first: [] as number[], all: [] as number[]};
    for (let i = 0; found.all.length < trials; i++) {
      const one = detection(seed + i, n, config, perRing, 'machine');
      found.first.push(...one.first);
      found.all.push(...one.all);
    }
    if (n > 2000) {
      // Too short a time could be afforded to tell anything of pauses.
      console.log(`| ${n} | ${name} | ${spread(found.first)} | ${spread(found.all)} | | |`);
      continue;
    }
    const duration = Math.min(300_000, 30_000_000 / n);
    const lies = troubled(seed, n, config, {duration, pauses: true});
    const rate = (count: number): string => (count === 0 ? '0' : (count / n / (duration / 60_000)).toFixed(3));
    const well = lies.false.filter(({observerWellFor}) => observerWellFor > suspicionBounds(config, n).min);
    console.log(`| ${n} | ${name} | ${spread(found.first)} | ${spread(found.all)} | ${rate(lies.false.length)} | ${rate(well.length)} |`);
  }
  console.log(`\nms; ${trials} kills from seed ${seed}; false deaths a member a minute, over all observers, while 8 % stand still; the well did not stand still within a suspicion`);
}

function measurePauses(): void {
  const n = members(128);
  const duration = Number(values.minutes) * 60_000;
  let missed = false;
  for (const [name, config] of chosen()) {
    let count = 0;
    let deaths = 0;
    for (let s = seed; s < seed + Number(values.seeds); s++) {
      const found = troubled(s, n, config, {duration, pauses: true, network: {loss: Number(values.loss)}});
      deaths += found.deaths;
      count += found.false.length;
      if (config.lifeguard && config.pauseDetection && found.false.length > 0) {
        missed = true;
        console.log(`seed ${s}: ${JSON.stringify(found.false.slice(0, 5))}`);
      }
    }
    console.log(`${name}: ${count} false deaths, ${deaths} declared in all; ${n} members, ${values.minutes} min, seeds ${seed} to ${seed + Number(values.seeds) - 1}`);
  }
  if (missed) process.exitCode = 1;
}

function measureCurve(): void {
  const pauses = [300, 500, 700, 900, 1200, 1600, 2400];
  console.log(`| probe interval | suspicion × | shortest | first p50 | first p99 | bytes/s | false deaths, lossy and stalled | died of a pause of ${pauses.join(' / ')} ms |`);
  console.log('|---|---|---|---|---|---|---|---|');
  for (const probeInterval of [100, 200, 400, 1000]) {
    for (const suspicionMultiplier of [0.5, 0.75, 1, 2, 4]) {
      if (probeInterval * suspicionMultiplier > 1000 || probeInterval * suspicionMultiplier < 100) continue;
      const scale = probeInterval / defaultConfig.probeInterval;
      const stage = (ms: number): number => Math.max(ms, (ms * scale) / 2);
      const config = {...defaultConfig, probeInterval, suspicionMultiplier, probeTimeout: stage(100), indirectTimeout: stage(150)};
      const {first} = detection(seed, 100, config, 50, 'machine');
      const rest = atRest(seed, 100, {...config, pushPullInterval: 0}, 20);
      const lies = troubled(seed, 100, config, {duration: 60_000, stallEvery: 1000, network: {loss: 0.05}});
      const died = pauses.map((ms) => `${diedOfPause(seed, config, ms, 10) * 10} %`);
      const {min} = suspicionBounds(config, 100);
      console.log(`| ${probeInterval} | ${suspicionMultiplier} | ${min} | ${at(first, 0.5)} | ${at(first, 0.99)} | ${rest.packets.toFixed(0)} | ${lies.deaths} | ${died.join(' / ')} |`);
    }
  }
}

function measureRest(): void {
  console.log('| members | datagrams/s | their bytes/s | push-pull bytes/s | sum | memberlist LAN | ratio |\n|---|---|---|---|---|---|---|');
  for (const n of values.members === undefined ? [3, 10, 32, 100, 300] : [members(100)]) {
    const rest = atRest(seed, n, defaultConfig, n > 100 ? 600 : 1200);
    const theirs = memberlistAtRest(n, usualMeta.length);
    const sum = rest.packets + rest.streams;
    const sumOfTheirs = theirs.packets + theirs.streams;
    console.log(
      `| ${n} | ${rest.datagrams.toFixed(1)} | ${rest.packets.toFixed(0)} | ${rest.streams.toFixed(0)} | ${sum.toFixed(0)} | ` +
        `${sumOfTheirs.toFixed(0)} (${theirs.packets} + ${theirs.streams.toFixed(0)}) | ${(sum / sumOfTheirs).toFixed(2)} |`,
    );
    if (sum > 2 * sumOfTheirs) process.exitCode = 1;
  }
}

function measureSpeed(): void {
  const n = members(10_000);
  const {round, interval, residentMb} = speed(seed, n, defaultConfig, 20);
  console.log(`${n} members: a round of ${interval} ms simulated in ${round.toFixed(0)} ms of CPU, ${(interval / round).toFixed(1)} × real time; ${residentMb.toFixed(0)} MB`);
  if (round > interval) process.exitCode = 1;
}

function at(times: readonly number[], share: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(0);
}

function spread(times: readonly number[]): string {
  return [0.5, 0.9, 0.99].map((share) => at(times, share)).join(' | ');
}
