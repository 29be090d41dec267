import {resolveUser} from './users.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nodd\n7:x:42:43::/seven:/bin/sh\n';
const group = 'root:x:0:\nann:x:1000:\nwheel:x:10:root,ann\naudio:x:29:ann\nann:x:1000:ann\n';

describe('the user of a container', () => {
  it.each([
    ['', {uid: 0, gid: 0, additionalGids: [10], home: '/root'}],
    ['root', {uid: 0, gid: 0, additionalGids: [10], home: '/root'}],
    ['ann', {uid: 1000, gid: 1000, additionalGids: [10, 29], home: '/home/ann'}],
    ['1000', {uid: 1000, gid: 1000, additionalGids: [10, 29], home: '/home/ann'}],
    ['ann:audio', {uid: 1000, gid: 29, additionalGids: [], home: '/home/ann'}],
    ['ann:77', {uid: 1000, gid: 77, additionalGids: [], home: '/home/ann'}],
    ['5000', {uid: 5000, gid: 0, additionalGids: [], home: '/'}],
    ['5000:wheel', {uid: 5000, gid: 10, additionalGids: [], home: '/'}],
    // A name of digits is a name first.
    ['7', {uid: 42, gid: 43, additionalGids: [], home: '/seven'}],
  ])('%j', (wanted, user) => {
    expect(resolveUser(wanted, passwd, group)).toEqual(user);
  });

  it('is root where the image knows nobody', () => {
    expect(resolveUser('', '', '')).toEqual({uid: 0, gid: 0, additionalGids: [], home: '/'});
  });

  it.each([['bob', 'no user bob'], ['ann:staff', 'no group staff'], ['-1', 'no user -1'], ['99999999999', 'no user 99999999999']])('%j is refused: %s', (wanted, why) => {
    expect(() => resolveUser(wanted, passwd, group)).toThrow(why);
  });
});
