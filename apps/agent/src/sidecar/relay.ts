/**
 * The sidecar's view of the ring on the agent's own connection to the bus. A machine has a vote only while its lease stands, and
 * the lease is the agent's: so nothing is lost with the agent, and the sidecar needs neither credentials nor a client of the bus.
 */
import type {LinkedMember} from '@hivemind/sidecar/bus-link';
import type {Member, SidecarClient, WatchReply} from '@hivemind/sidecar/client';

type MemberInfo = Awaited<ReturnType<LinkedMember['members']>>[number];
type Listener = Parameters<LinkedMember['listen']>[0];

export interface Relay extends LinkedMember {
  /** What the sidecar tells. */
  onReply(reply: WatchReply): void;
  /** It is gone: this machine sees nobody. */
  onLost(): void;
}

export function createRelay(name: string, client: Pick<SidecarClient, 'members' | 'join'>): Relay {
  const listeners = new Set<Listener>();
  let present = false;
  const members = async (): Promise<readonly MemberInfo[]> => (present ? (await client.members()).members.map(infoOf) : []);
  const tellWhole = (whole: readonly MemberInfo[]): void => {
    for (const listener of listeners) listener.whole(whole);
  };
  return {
    name,
    members,
    listen(listener) {
      listeners.add(listener);
      // Asked for when it is reported; this only says that there is something to report.
      listener.whole([]);
      return () => listeners.delete(listener);
    },
    meet: (addresses) => client.join(addresses),
    onReply({whole, change, member}) {
      present = true;
      if (whole !== undefined) tellWhole(whole.members.map(infoOf));
      else if (change !== '' && member !== undefined) for (const listener of listeners) listener.changed({type: change, member: infoOf(member)});
    },
    onLost() {
      present = false;
      tellWhole([]);
    },
  };
}

function infoOf({name, host, port, state, incarnation, sinceMs, rttMs, described, zone, agentVersion, api, tags}: Member): MemberInfo {
  return {
    name, address: {host, port}, incarnation, since: sinceMs,
    // One that a later release knows: it is there, in some way.
    state: state === '' ? 'suspect' : state,
    ...(rttMs === undefined ? {} : {rttMs}),
    ...(described ? {metadata: {...(zone === '' ? {} : {zone}), ...(agentVersion === '' ? {} : {agentVersion}), ...(api === '' ? {} : {api}), tags}} : {}),
  };
}
