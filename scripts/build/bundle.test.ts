import {spawnSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import bundle, {bundlePrograms} from './bundle.mjs';

describe('bundle', () => {
  let dir: string;
  beforeEach(() => {
    dir = tempDir('bundle');
    mkdirSync(join(dir, 'src'));
    mkdirSync(join(dir, 'out'));
    writeFileSync(join(dir, 'out/package.json'), '{"type": "module"}');
  });
  afterEach(() => removeTempDir(dir));

  const write = (name: string, text: string) => writeFileSync(join(dir, 'src', name), text);
  const bundled = async () => {
    const outfile = join(dir, 'out/app.js');
    await bundle({entry: join(dir, 'src/main.ts'), outfile, logLevel: 'silent'});
    return outfile;
  };

  it('makes one file that carries its workers', async () => {
    write('double.ts', 'export const double = (n: number): number => 2 * n;');
    write('twice.worker.ts', `
      import {parentPort, workerData} from 'node:worker_threads';
      import {double} from './double.ts';
      parentPort?.postMessage(await Promise.resolve(double(workerData as number)));`);
    write('main.ts', `
      import {Worker} from 'node:worker_threads';
      const worker = new Worker(new URL('./twice.worker.ts', import.meta.url), {workerData: 21});
      worker.once('message', (answer: number) => console.log(answer));`);
    const outfile = await bundled();
    await removeTempDir(join(dir, 'src'));
    const {stdout, stderr} = spawnSync(process.execPath, [outfile], {encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}});
    expect({stdout, stderr}).toEqual({stdout: '42\n', stderr: ''});
  });

  it('makes programs of what they share, and of parts that are loaded when they are needed', async () => {
    write('shared.ts', "export const greeting = 'hello';");
    write('seldom.ts', "console.log('loaded');\nexport const seldom = 'seldom';");
    for (const name of ['a', 'b']) write(`${name}.ts`, `import {greeting} from './shared.ts';\nconsole.log('${name}', greeting, process.argv[2] === undefined ? '' : (await import('./seldom.ts')).seldom, (await import('node:path')).sep);`);
    const outdir = join(dir, 'out');
    await bundlePrograms({programs: {a: join(dir, 'src/a.ts'), b: join(dir, 'src/b.ts')}, outdir});
    await removeTempDir(join(dir, 'src'));
    const run = (...words: string[]) => spawnSync(process.execPath, words, {cwd: outdir, encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}}).stdout;
    expect([run('a.js'), run('b.js', 'more')]).toEqual(['a hello  /\n', 'loaded\nb hello seldom /\n']);
    const holding = (text: string) => ['a.js', 'b.js', ...readdirSync(join(outdir, 'parts')).map((file) => `parts/${file}`)].filter((file) => readFileSync(join(outdir, file), 'utf8').includes(text)).map((file) => file.replace(/-\w+/, ''));
    expect([holding('"hello"'), holding('"loaded"')]).toEqual([['parts/chunk.js'], ['parts/seldom.js']]);
  });

  it('is of ASCII, as a single other character would double it in memory', async () => {
    write('main.ts', "console.log('µ'.length, /\\u00b5/.test('µ'));");
    const outfile = await bundled();
    expect(spawnSync(process.execPath, [outfile], {encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}}).stdout).toBe('1 true\n');
    write('main.ts', "console.log(/µ/.test('µ'));");
    await expect(bundled()).rejects.toThrow(/beyond ASCII[^]*\/µ\//);
  });

  it('refuses to look for a file beside the source', async () => {
    write('main.ts', "import {readFileSync} from 'node:fs';\nconsole.log(readFileSync(new URL('./data.txt', import.meta.url), 'utf8'));");
    await expect(bundled()).rejects.toThrow(/import\.meta\.url is no place of its own in a bundle/);
  });
});
