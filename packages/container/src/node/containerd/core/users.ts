/** The user that a container runs as, by the image's own passwd and group. Pure. */

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const LARGEST = 2 ** 31 - 1;

/**
 * @param wanted `name`, `1000`, `name:group`, `1000:1000`; empty: root
 * @param more groups beside, by name or number
 * @throws TypeError naming the user or group that the image does not have
 */
export function resolveUser(wanted: string, passwd: string, group: string, more: readonly string[] = []): User {
  const [who = '', inGroup] = wanted.split(':');
  const accounts = accountsOf(passwd);
  const groups = groupsOf(group);
  const number = numberOf(who === '' ? '0' : who);
  const account = accounts.find(({name}) => name === who) ?? accounts.find(({uid}) => uid === number);
  const uid = account?.uid ?? number;
  if (uid === undefined) throw new TypeError(`the image has no user ${who}`);
  const beside = [...new Set(more.map((one) => gidOf(one, groups)))];
  if (inGroup !== undefined && inGroup !== '') {
    return {uid, gid: gidOf(inGroup, groups), additionalGids: beside, home: account?.home ?? '/'};
  }
  const gid = account?.gid ?? 0;
  const further = account === undefined ? [] : groups.filter(({members, gid: other}) => other !== gid && members.includes(account.name)).map((other) => other.gid);
  return {uid, gid, additionalGids: [...new Set([...further, ...beside])], home: account?.home ?? '/'};
}

function gidOf(group: string, groups: readonly Group[]): number {
  const gid = groups.find(({name}) => name === group)?.gid ?? numberOf(group);
  if (gid === undefined) throw new TypeError(`the image has no group ${group}`);
  return gid;
}

function accountsOf(passwd: string): readonly Account[] {
  return passwd.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
    const [user, own] = [numberOf(uid), numberOf(gid)];
    return name === '' || user === undefined || own === undefined ? [] : [{name, uid: user, gid: own, home: home === '' ? '/' : home}];
  });
}

function groupsOf(group: string): readonly Group[] {
  return group.split('\n').flatMap((line) => {
    const [name = '', , gid = '', members = ''] = line.split(':');
    const own = numberOf(gid);
    return name === '' || own === undefined ? [] : [{name, gid: own, members: members.split(',').filter(Boolean)}];
  });
}

function numberOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= LARGEST ? Number(text) : undefined;
}
