/** The ring as machines report it, and who leads. */
import * as z from 'zod';
import {resource, StoredMeta} from './meta.ts';
import {Labels} from './names.ts';
import {defineMessage} from './subject.ts';

export const MemberState = z.enum(['alive', 'suspect', 'dead', 'left']);
export type MemberState = z.infer<typeof MemberState>;

const Tags = z.record(z.string(), z.string());
const memberFacts = {
  /** `host:port` of its gossip, UDP and TCP alike. */
  address: z.string(),
  zone: z.string().optional(),
  agentVersion: z.string().optional(),
  /** `host:port` where its agent or API answers. */
  api: z.string().optional(),
  tags: Tags.default({}),
} as const;

/** A member as one other sees it. */
export const MemberSighting = z.object({
  name: z.string(),
  ...memberFacts,
  state: MemberState,
  /** What a member counts up to contradict what is said of it; the greater one is the newer. */
  incarnation: z.number().int().nonnegative(),
  /** ms since the epoch by the clock of who saw it: its last change of state. */
  since: z.number(),
});
export type MemberSighting = z.infer<typeof MemberSighting>;

/** Most members of one report; a larger view is a full report and partial ones. */
export const REPORT_MEMBERS = 1000;

/**
 * sidecar → membership: how it sees the ring. `boot` is unique to a start of the sidecar, `seq` counts its reports from 1.
 * `full` replaces all that was reported before; else `members` are those that changed and `gone` those it forgot. Both may be
 * empty: it is sent every 10 s all the same. Who misses one asks for the whole (`reportWhole`).
 */
export const membershipReport = defineMessage({
  subject: 'membership.{node}.report',
  message: z.object({
    boot: z.string().min(1).max(64),
    seq: z.number().int().positive(),
    full: z.boolean(),
    members: z.array(MemberSighting).max(REPORT_MEMBERS),
    gone: z.array(z.string()).default([]),
  }),
});
export type MembershipReport = z.infer<typeof membershipReport.message>;
/** membership → sidecar: a report was missed, so send a full one. */
export const reportWhole = defineMessage({subject: 'membership.{node}.whole', message: z.object({})});

/** membership → sidecar: `host:port` of living members that its report does not know, for it to join. */
export const meetMembers = defineMessage({subject: 'membership.{node}.meet', message: z.object({addresses: z.array(z.string()).min(1).max(8)})});

/** From a sidecar, at each change that it sees. For whoever wants to look again; what counts is decided from the reports. */
export const membershipChanged = defineMessage({
  subject: 'membership.{node}.changed',
  message: z.object({type: z.enum(['joined', 'suspected', 'cleared', 'died', 'left', 'updated']), member: MemberSighting}),
});

const Revision = z.object({epoch: z.string(), n: z.number().int()});

/** Who leads. `revision` is the fencing revision: the store's when it won. */
const leaderFields = {name: z.string(), node: z.string().optional(), since: z.string(), revision: Revision} as const;

/** Collection `leader`, key: `leader`. It stands until the next leader writes it. Owner: membership. */
export const LeaderRecord = z.object(leaderFields);
export type LeaderRecord = z.infer<typeof LeaderRecord>;

/**
 * From the leader, at once and then again and again while it leads: without it for `leaseMs`, nobody is known to lead.
 * `renewal` counts up within one term.
 */
export const leaderChanged = defineMessage({
  subject: 'leader.changed',
  message: LeaderRecord.extend({renewal: z.number().int().nonnegative(), leaseMs: z.number().int().positive()}),
});
export type LeaderChanged = z.infer<typeof leaderChanged.message>;

/** As `/leader` answers it. `provisional`: named by the ring while the store is away; it decides nothing that needs the store. */
export const Leader = z.object({...leaderFields, since: leaderFields.since.optional(), revision: Revision.optional(), provisional: z.boolean()});
export type Leader = z.infer<typeof Leader>;

/** Collection `members`, key: name. What counts of the reports. Owner: membership. */
export const MemberRecord = z.object({
  name: z.string(),
  ...memberFacts,
  state: MemberState,
  /** Nobody sees it any more, but too few have reported that for `state` to say so. */
  unseen: z.boolean().optional(),
  incarnation: z.number().int(),
  /** RFC 3339: when this came to count. */
  since: z.string(),
  meta: StoredMeta,
});
export type MemberRecord = z.infer<typeof MemberRecord>;

const Votes = z.object({alive: z.number().int(), suspect: z.number().int(), dead: z.number().int(), left: z.number().int(), silent: z.number().int()});

/** Labels are its tags. `votes`: how the nodes that are asked see it now; `silent` ones do not know it or were not heard lately. */
export const Member = resource(
  'Member',
  z.object({...memberFacts, tags: Labels.default({})}),
  z.object({phase: MemberState, incarnation: z.number().int(), since: z.string(), votes: Votes}),
);
export type Member = z.infer<typeof Member>;
