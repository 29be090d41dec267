/** The protocol's numbers. Defaults are chosen from the curves in docs/membership.md. Times in ms. */

export interface ProtocolConfig {
  /** One member is probed this often, while this one is well. */
  readonly probeInterval: number;
  /** How long a direct ping is waited for before helpers and TCP are asked; longer for members known to be far. */
  readonly probeTimeout: number;
  /** How long helpers and TCP are waited for after that. */
  readonly indirectTimeout: number;
  /** Members asked to ping in one's stead. */
  readonly helpers: number;
  /** The shortest suspicion is this × log10(members) × probeInterval; the logarithm counts as 2 below 100 members. */
  readonly suspicionMultiplier: number;
  /** Without confirmation a suspicion lasts this many times longer. */
  readonly suspicionMaxFactor: number;
  /** Independent confirmations after which a suspicion is as short as it can be. */
  readonly confirmations: number;
  /** A message is sent this × ceil(log10(members + 1)) times by each member. */
  readonly retransmitMultiplier: number;
  readonly gossipInterval: number;
  /** Members told at each gossip. */
  readonly gossipFanout: number;
  /** The dead are told of their death this long, so that they can refute it. */
  readonly gossipToDeadFor: number;
  /** Whole views are exchanged this often in a ring of up to 32; longer for each doubling. 0: never. */
  readonly pushPullInterval: number;
  /** One of the dead is asked this often whether it is back: how separated rings find each other. 0: never. */
  readonly reviveInterval: number;
  /** A dead member's name may be taken at another address after this. */
  readonly reclaimAfter: number;
  /** The dead are forgotten after this, those that left after `gossipToDeadFor`. */
  readonly forgetAfter: number;
  /** Bytes of one datagram, framing included. */
  readonly packetBytes: number;
  /** More names than this are not taken in. */
  readonly maxMembers: number;
  /** Local health, confirmations, buddy notification and nack. Off only to be compared with. */
  readonly lifeguard: boolean;
  /** A tick later than asked for is taken as a pause of this member. Off only to be compared with. */
  readonly pauseDetection: boolean;
}

export const defaultConfig: ProtocolConfig = {
  probeInterval: 200,
  probeTimeout: 100,
  indirectTimeout: 150,
  helpers: 3,
  suspicionMultiplier: 1,
  suspicionMaxFactor: 6,
  confirmations: 3,
  retransmitMultiplier: 4,
  gossipInterval: 100,
  gossipFanout: 3,
  gossipToDeadFor: 30_000,
  pushPullInterval: 60_000,
  reviveInterval: 10_000,
  reclaimAfter: 10_000,
  forgetAfter: 24 * 3_600_000,
  packetBytes: 1400,
  maxMembers: 16_384,
  lifeguard: true,
  pauseDetection: true,
};

/** An incarnation is counted up by one at a time; what is beyond this was never counted, and is refused. */
export const maxIncarnation = 0x7fffffff;
/** UTF-16 units of a name. */
export const maxNameLength = 128;
export const maxMetaBytes = 512;
/** Text of an IP address. */
export const maxHostLength = 64;

/** log10 of the ring, not below 2: a ring of three needs the same patience as one of a hundred. */
const scale = (members: number): number => Math.max(2, Math.log10(Math.max(1, members)));

/** The shortest and the longest a suspicion lasts in a ring of so many. */
export function suspicionBounds(config: ProtocolConfig, members: number): {readonly min: number; readonly max: number} {
  const min = config.suspicionMultiplier * scale(members) * config.probeInterval;
  return {min, max: config.lifeguard ? min * config.suspicionMaxFactor : min};
}

/** How often each member passes one message on. */
export function retransmitLimit(config: ProtocolConfig, members: number): number {
  return config.retransmitMultiplier * Math.ceil(Math.log10(members + 1));
}

/** Views grow with the ring, so their exchange becomes rarer with each doubling above 32 members. */
export function pushPullEvery(config: ProtocolConfig, members: number): number {
  return members <= 32 ? config.pushPullInterval : config.pushPullInterval * (Math.ceil(Math.log2(members / 32)) + 1);
}
