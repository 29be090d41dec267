/**
 * All rulings of one moment, so that they are written in one step: whoever reads that a machine is dead reads in the same
 * revision whether the brake holds.
 */
import {durationMs, type NodeBrake, type NodeSettings, type NodeVerdict} from '@hivemind/contracts';
import {type MachineInSight, ruleBrake} from './brake.ts';
import {judge, type Signals} from './verdict.ts';

export interface ObservedNode extends Omit<Signals, 'silentMs'> {
  readonly name: string;
  /** Monotonic ms when this ruler saw that the lease had lapsed; undefined: it is kept. */
  readonly silentSince: number | undefined;
  readonly verdict: NodeVerdict | undefined;
}

export interface RulingInput {
  readonly nodes: readonly ObservedNode[];
  readonly settings: NodeSettings;
  readonly brake: NodeBrake | undefined;
  /** When this ruler first saw the brake engaged, monotonic ms. */
  readonly engagedAt: number | undefined;
  /** Since then this ruler can tell what went; what had gone by then went `before`. Monotonic ms. */
  readonly watchingSince: number;
  /** Monotonic ms; only differences mean something. */
  readonly now: number;
  /** RFC 3339. */
  readonly at: string;
}

export interface Rulings {
  /** Those that differ from what was ruled last. */
  readonly verdicts: readonly NodeVerdict[];
  readonly brake?: NodeBrake;
  /** Monotonic ms: look again then, whatever happens. */
  readonly wakeAt?: number;
}

export function rule({nodes, settings, brake, engagedAt, watchingSince, now, at}: RulingInput): Rulings {
  const patience = {unreachableAfterMs: durationMs(settings.unreachableAfter), deadAfterMs: durationMs(settings.deadAfter)};
  const verdicts: NodeVerdict[] = [];
  const wakes: number[] = [];
  for (const {name, silentSince, verdict, ...signals} of nodes) {
    const {standing, againInMs} = judge(verdict, {...signals, silentMs: silentSince === undefined ? undefined : now - silentSince}, patience);
    if (againInMs !== undefined) wakes.push(now + againInMs);
    if (verdict === undefined || !same(verdict, standing)) verdicts.push({...verdict, name, ...pick(standing), since: verdict?.state === standing.state ? verdict.since : at});
  }
  const ruled = ruleBrake({
    machines: nodes.map((node) => sight(node, watchingSince)),
    brake, engagedAt, now, at,
    share: settings.brake.share,
    windowMs: durationMs(settings.brake.window),
    holdMs: durationMs(settings.brake.hold),
  });
  if (ruled.wakeAt !== undefined) wakes.push(ruled.wakeAt);
  return {verdicts, ...(ruled.brake === undefined ? {} : {brake: ruled.brake}), ...(wakes.length === 0 ? {} : {wakeAt: Math.min(...wakes)})};
}

/** A machine that gossip sees, or whose end a person vouched for, is not one that went for no reason. */
function sight({name, silentSince, gossip, confirmedDead, grace, verdict}: ObservedNode, watchingSince: number): MachineInSight {
  if (silentSince === undefined || gossip === 'alive') return {name, goneAt: undefined};
  if (grace && !confirmedDead) return {name, goneAt: 'unproven'};
  const long = confirmedDead || (silentSince <= watchingSince && verdict !== undefined && verdict.state !== 'ready');
  return {name, goneAt: long ? 'before' : silentSince};
}

function pick({state, degraded, reason, message}: Pick<NodeVerdict, 'state' | 'degraded' | 'reason' | 'message'>): Pick<NodeVerdict, 'state' | 'degraded' | 'reason' | 'message'> {
  return {state, degraded, reason, message};
}

function same(a: NodeVerdict, b: Pick<NodeVerdict, 'state' | 'degraded' | 'reason' | 'message'>): boolean {
  return a.state === b.state && a.degraded === b.degraded && a.reason === b.reason && a.message === b.message;
}
