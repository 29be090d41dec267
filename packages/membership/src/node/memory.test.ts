import {mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import pino from 'pino';
import {Memory} from './memory.ts';

let dir: string;
let lines: string[];
beforeEach(() => {
  dir = tempDir('memory');
  lines = [];
});
afterEach(() => removeTempDir(dir));

const memory = (name = 'a', at = dir): Memory => new Memory(at, name, pino({}, {write: (line) => void lines.push(line)}));
const members = [{host: '10.0.0.1', port: 7946}, {host: 'fd00::1', port: 1}];

describe('what a member remembers', () => {
  it('comes back, from a file that only its owner reads', async () => {
    await memory().write({incarnation: 7, members});
    expect(await memory().read()).toEqual({incarnation: 7, members});
    expect(statSync(join(dir, 'membership.json')).mode & 0o777).toBe(0o600);
  });

  it('is nothing at first, in a directory that it makes', async () => {
    expect(await memory('a', join(dir, 'new', 'one')).read()).toEqual({incarnation: 0, members: []});
    expect(lines).toEqual([]);
  });

  it('of another name is whom to ask, but not its incarnation', async () => {
    await memory('b').write({incarnation: 7, members});
    expect(await memory('a').read()).toEqual({incarnation: 0, members});
  });

  it.each([
    ['cut short', '{"version":1,"na'],
    ['of another version', '{"version":2,"name":"a","incarnation":1,"members":[]}'],
    ['of another form', '[]'],
    ['without members', '{"version":1,"name":"a","incarnation":1}'],
    ['with an incarnation that was never counted', '{"version":1,"name":"a","incarnation":-1,"members":[]}'],
  ])('%s is nothing, and is said', async (_, text) => {
    writeFileSync(join(dir, 'membership.json'), text);
    expect(await memory().read()).toEqual({incarnation: 0, members: []});
    expect(lines.join()).toContain('cannot be read');
  });

  it('leaves out addresses that are none', async () => {
    const bad = [{host: 'a name', port: 1}, {host: '10.0.0.2', port: 0}, {host: '10.0.0.2'}, null, 'x'];
    writeFileSync(join(dir, 'membership.json'), JSON.stringify({version: 1, name: 'a', incarnation: 1, members: [...bad, ...members]}));
    expect((await memory().read()).members).toEqual(members);
  });

  it('that cannot be written is said, and written the next time', async () => {
    const file = memory();
    mkdirSync(join(dir, 'membership.json.new'));
    await file.write({incarnation: 1, members});
    expect(lines.join()).toContain('could not be written');
    rmdirSync(join(dir, 'membership.json.new'));
    await file.write({incarnation: 1, members});
    expect(JSON.parse(readFileSync(join(dir, 'membership.json'), 'utf8'))).toMatchObject({incarnation: 1});
  });
});
