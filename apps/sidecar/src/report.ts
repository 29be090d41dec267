/** From how a machine sees the ring to what it reports of it: the whole, or what changed since the last report. Pure. */
import type {MembershipReport, MemberSighting} from '@hivemind/contracts';
import type {MemberInfo} from '@hivemind/membership/model';

/** A member as the bus carries it. */
export function sightingOf({name, address, state, incarnation, metadata = {}, since}: MemberInfo): MemberSighting {
  const {zone, agentVersion, api, tags = {}} = metadata;
  return {
    name, state, incarnation, since,
    address: addressText(address),
    ...(zone === undefined ? {} : {zone}),
    ...(agentVersion === undefined ? {} : {agentVersion}),
    ...(api === undefined ? {} : {api}),
    tags: {...tags},
  };
}

export function addressText({host, port}: MemberInfo['address']): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What was reported last, by name. */
export type Told = ReadonlyMap<string, MemberSighting>;

export interface Reports {
  /** At least one; in the order of their `seq`, from `seq` on. */
  readonly messages: readonly Omit<MembershipReport, 'boot'>[];
  readonly told: Told;
}

/** `told` undefined: everything is told anew. `most`: members of one message. */
export function reportsOf(told: Told | undefined, members: readonly MemberInfo[], seq: number, most: number): Reports {
  const now = new Map(members.map((member) => [member.name, sightingOf(member)]));
  const changed = [...now.values()].filter((sighting) => !same(told?.get(sighting.name), sighting));
  const gone = [...(told?.keys() ?? [])].filter((name) => !now.has(name));
  const pages = Array.from({length: Math.max(1, Math.ceil(changed.length / most))}, (_, page) => changed.slice(page * most, (page + 1) * most));
  return {
    messages: pages.map((page, index) => ({seq: seq + index, full: told === undefined && index === 0, members: page, gone: index === 0 ? gone : []})),
    told: now,
  };
}

function same(a: MemberSighting | undefined, b: MemberSighting): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
