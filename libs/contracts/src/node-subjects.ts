/**
 * Which end of a machine's subjects the machine is at. What its credentials on the bus permit is derived from this: a new
 * subject with `{node}` that is missing here does not compile.
 */
import {getNames, namesApplied, namesChanged} from './discovery.ts';
import {getIngresses, ingressesChanged, reportIngress} from './ingress.ts';
import {leaderChanged, meetMembers, membershipChanged, membershipReport, reportWhole} from './membership.ts';
import {getNetwork, getOverlay, networkChanged} from './network.ts';
import {getPolicies, policiesChanged} from './network-policy.ts';
import * as subjects from './subjects.ts';

const all = {...subjects, membershipChanged, membershipReport, reportWhole, meetMembers, getNames, namesApplied, getNetwork, getOverlay, getPolicies, getIngresses, reportIngress};
type Subjects = typeof all;
/** The definitions whose subject names a machine. */
export type NodeSubject = {[K in keyof Subjects]: Subjects[K] extends {readonly subject: `${string}{node}${string}`} ? K : never}[keyof Subjects];

/** `served`: the machine hears it, or answers; `called`: it tells, or asks. */
export const nodeSubjects: Readonly<Record<NodeSubject, 'served' | 'called'>> = {
  openSecrets: 'called',
  assignmentChanged: 'served',
  getAssignment: 'called',
  getContainers: 'called',
  getConfigs: 'called',
  reportStrangers: 'called',
  registerNode: 'called',
  heartbeat: 'called',
  renewCredentials: 'called',
  reportStatus: 'called',
  streamLogs: 'served',
  execStream: 'served',
  getStats: 'served',
  restartContainer: 'served',
  listImages: 'served',
  pullImage: 'served',
  buildImage: 'served',
  importImages: 'served',
  exportImage: 'served',
  removeImage: 'served',
  volumeUsage: 'served',
  removeVolume: 'served',
  membershipReport: 'called',
  membershipChanged: 'called',
  reportWhole: 'served',
  meetMembers: 'served',
  getNames: 'called',
  namesApplied: 'called',
  getNetwork: 'called',
  getOverlay: 'served',
  getPolicies: 'called',
  getIngresses: 'called',
  reportIngress: 'served',
};

/** Told to everybody: each machine may hear it. */
const heardByAll = [leaderChanged, namesChanged, networkChanged, policiesChanged, ingressesChanged];

/** The machine's end of each subject, with its kind: all that a bus needs to know of who may do what. */
export function subjectsOfNodes(): readonly {readonly end: 'served' | 'called'; readonly kind: 'message' | 'request' | 'stream'; readonly subject: string}[] {
  const own = Object.entries(nodeSubjects).map(([name, end]) => {
    const {kind, subject} = all[name as NodeSubject];
    return {end, kind, subject};
  });
  return [...own, ...heardByAll.map(({kind, subject}) => ({end: 'served' as const, kind, subject}))];
}
