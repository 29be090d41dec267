import {chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {extract} from 'tar-stream';
import {contentTag} from './build.ts';
import {openContext} from './context.ts';

const build = (context: string, rest = {}) => ({context, dockerfile: 'Dockerfile', args: {}, labels: {}, noCache: false, extraHosts: [], ...rest});

describe('a build context', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hivemind-context-'));
    mkdirSync(join(root, 'src/deep'), {recursive: true});
    mkdirSync(join(root, 'node_modules/x'), {recursive: true});
    for (const [name, text] of Object.entries({Dockerfile: 'FROM x', 'src/a.txt': 'a', 'src/deep/b.txt': 'b', 'node_modules/x/y': 'no', '.dockerignore': 'node_modules\nDockerfile'})) writeFileSync(join(root, name), text);
    symlinkSync('a.txt', join(root, 'src/link'));
  });
  afterEach(() => rmSync(root, {recursive: true}));

  async function entries(rest = {}): Promise<Record<string, string>> {
    const {stream} = await openContext(build(root, rest));
    const found: Record<string, string> = {};
    const tar = extract();
    stream().pipe(tar);
    for await (const entry of tar) {
      let text = '';
      for await (const chunk of entry) text += String(chunk);
      found[entry.header.name] = entry.header.type === 'symlink' ? `-> ${entry.header.linkname}` : entry.header.type === 'directory' ? '/' : text;
    }
    return found;
  }

  it('sends what is not ignored, and the Dockerfile in any case', async () => {
    expect(await entries()).toEqual({'.dockerignore': 'node_modules\nDockerfile', Dockerfile: 'FROM x', src: '/', 'src/a.txt': 'a', 'src/deep': '/', 'src/deep/b.txt': 'b', 'src/link': '-> a.txt'});
  });

  it('sends a Dockerfile that is elsewhere, or inline, along', async () => {
    expect(await entries({dockerfileInline: 'FROM y'})).toMatchObject({'.hivemind.Dockerfile': 'FROM y', 'src/a.txt': 'a'});
    expect((await openContext(build(join(root, 'src'), {dockerfile: '../Dockerfile'}))).dockerfile).toBe('.hivemind.Dockerfile');
  });

  it('has a hash of all that makes the image, and of nothing else', async () => {
    const hash = async (rest = {}): Promise<string> => (await openContext(build(root, rest))).hash;
    const first = await hash();
    utimesSync(join(root, 'src/a.txt'), new Date(0), new Date(0));
    writeFileSync(join(root, 'node_modules/x/y'), 'changed');
    expect(await hash()).toBe(first);
    expect(new Set([first, await hash({args: {A: '1'}}), await hash({target: 't'}), await hash({labels: {l: '1'}}), await hash({dockerfileInline: 'FROM z'})]).size).toBe(5);
    writeFileSync(join(root, 'src/a.txt'), 'A');
    const changed = await hash();
    expect(changed).not.toBe(first);
    chmodSync(join(root, 'src/a.txt'), 0o755);
    expect(await hash()).not.toBe(changed);
  });

  it('says what is missing', async () => {
    await expect(openContext(build(join(root, 'gone')))).rejects.toThrow(`There is no directory ${join(root, 'gone')} to build from`);
    await expect(openContext(build(root, {dockerfile: 'Dockerfile.gone'}))).rejects.toThrow(`There is no Dockerfile ${join(root, 'Dockerfile.gone')}`);
  });
});

describe('the name of a built image', () => {
  it.each([
    ['shop-web', 'shop-web:0123456789ab'],
    ['shop/web:1', 'shop/web:1-0123456789ab'],
    ['registry.example:5000/shop/web', 'registry.example:5000/shop/web:0123456789ab'],
    ['registry.example:5000/shop/web:v2', 'registry.example:5000/shop/web:v2-0123456789ab'],
  ])('%s is %s', (image, tag) => {
    expect(contentTag(image, '0123456789abcdef')).toBe(tag);
  });
});
