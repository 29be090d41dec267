/**
 * House rules that no linter knows, as a ratchet: what breaks one today is listed in house-debts.json
 * with how far, may not get worse, and must be struck off when it gets better. No new debt is taken.
 * `UPDATE_HOUSE_DEBTS=1 npm test -- scripts/house` strikes off what was paid.
 */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, dirname, join, relative, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const debtsFile = join(root, 'scripts/house-debts.json');
/** Tests and contract suites are lists, read one entry at a time. */
const maxLines = (path: string) => (isTest(path) ? 600 : 400);

interface Source {
  path: string;
  text: string;
}

const generated = new Set(['node_modules', 'dist', 'coverage', '.git', '.nx']);
const files = filesUnder('');
const sources: Source[] = files
  .filter((path) => /^(libs|packages|apps|bench|scripts)\/.*\.(ts|mjs)$/.test(path))
  .map((path) => ({path, text: readFileSync(join(root, path), 'utf8')}));
const isTest = (path: string) => /\.test\.ts$|\/test\/|\/testing\/|^libs\/testkit\/|^scripts\//.test(path);

/** Code without comments, so that a rule may be spoken of. Good enough for the patterns below. */
const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

const banned: {name: string; pattern: RegExp; instead: string; where: (path: string) => boolean}[] = [
  {name: 'console', pattern: /\bconsole\.\w+\(/g, instead: 'the logger', where: (path) => !/^(apps\/cli|bench|scripts)\//.test(path) && !isTest(path)},
  {name: 'clock in core', pattern: /\bDate\.now\(|\bnew Date\(\s*\)|\bperformance\.now\(/g, instead: 'a parameter `now`', where: (path) => path.includes('/core/') && !isTest(path)},
  {name: 'randomness in core', pattern: /\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/g, instead: 'a parameter', where: (path) => path.includes('/core/') && !isTest(path)},
  {name: 'sleep in a test', pattern: /setTimeout\(\s*(resolve|r|done)\b|\bawait\s+(sleep|delay|setTimeout)\(/g, instead: 'waitFor of @hivemind/testkit, or a clock that the test moves', where: (path) => /\.test\.ts$|\/test\//.test(path)},
  {name: 'test left out', pattern: /\b(describe|it|test)\.(only|skip)\(|\bx(it|describe)\(/g, instead: 'a test that runs, or none', where: (path) => path.endsWith('.test.ts')},
  {name: 'silenced checker', pattern: /@ts-(ignore|nocheck|expect-error)|eslint-disable/g, instead: 'code that passes', where: () => true},
  {name: 'whole of zod in a bundle', pattern: /\{[^{}]*\bz\b[^{}]*\} from 'zod'/g, instead: "import * as z from 'zod', of which a bundle takes what is used", where: (path) => path.endsWith('.ts')},
  {name: 'debugger', pattern: /^\s*debugger\b/gm, instead: 'nothing', where: () => true},
];

/** Every breach found: rule and file, to how often (or how many lines). */
function breaches(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const {path, text} of sources) {
    if (path === 'scripts/house.test.ts') continue;
    const lines = text.split('\n').length - 1;
    if (lines > maxLines(path)) found[`longer than ${maxLines(path)} lines: ${path}`] = lines;
    for (const {name, pattern, where} of banned) {
      const hits = where(path) ? ((name === 'silenced checker' ? text : code(text)).match(pattern)?.length ?? 0) : 0;
      if (hits > 0) found[`${name}: ${path}`] = hits;
    }
  }
  return found;
}

/** The files that a module's import, export and worker specifiers lead to, inside this repository. */
function importsOf({path, text}: Source): string[] {
  const specifiers = [...code(text).matchAll(/(?:from|import|import\(|new URL\()\s*\(?['"]([^'"]+)['"]/g)].map((match) => match[1] ?? '');
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith('.')) return [relative(root, resolve(root, dirname(path), specifier))];
    const [, name, door = ''] = /^@hivemind\/([^/]+)(\/.*)?$/.exec(specifier) ?? [];
    const target = name ? doors.get(`${name}${door}`) : undefined;
    return target ? [target] : [];
  });
}

/** `contracts` and `contracts/testing`, as packages export them, to files. */
const doors = new Map<string, string>();
for (const manifest of files.filter((path) => /^(libs|packages|apps)\/[^/]+\/package\.json$/.test(path))) {
  const {name, exports = {}} = JSON.parse(readFileSync(join(root, manifest), 'utf8')) as {name: string; exports?: Record<string, string>};
  for (const [door, target] of Object.entries(exports)) doors.set(`${name.replace('@hivemind/', '')}${door.slice(1)}`, join(dirname(manifest), target));
}

/** What nothing leads to: neither a package's door, a program, a test, nor a file that one of these leads to. */
/** It says so itself, with the command, where it begins. */
function runByHand(path: string): boolean {
  const opening = /^\/\*\*[^]*?\*\//.exec(sources.find((source) => source.path === path)?.text ?? '')?.[0] ?? '';
  return opening.includes('Run by hand') && opening.includes(`node ${path}`);
}

function deadFiles(): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const scripts = readFileSync(join(root, 'package.json'), 'utf8');
  const isProgram = (path: string) =>
    /\/src\/main\.ts$|\/main\.ts$|^apps\/[^/]+\/bin\/|\/bench\/|^bench\/|^scripts\/build\/launcher\.mjs$|\.test\.ts$/.test(path) || scripts.includes(path) || runByHand(path) || path === 'scripts/build.mjs' || path === 'scripts/engine.mjs';
  const reached = new Set<string>();
  const queue = [...doors.values(), ...sources.map(({path}) => path).filter(isProgram)];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const source = byPath.get(path);
    if (!source || reached.has(path)) continue;
    reached.add(path);
    queue.push(...importsOf(source));
  }
  return sources.map(({path}) => path).filter((path) => !reached.has(path));
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), {withFileTypes: true}).flatMap((entry) => {
    if (generated.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

describe('the house', () => {
  it('keeps its rules, and gets no worse where it does not yet', () => {
    const found = breaches();
    if (process.env.UPDATE_HOUSE_DEBTS) writeFileSync(debtsFile, `${JSON.stringify(found, null, 2)}\n`);
    const debts = JSON.parse(readFileSync(debtsFile, 'utf8')) as Record<string, number>;
    const worse = Object.entries(found).filter(([breach, size]) => size > (debts[breach] ?? 0)).map(([breach, size]) => `${breach} (${size})${advice(breach)}`);
    const paid = Object.entries(debts).filter(([breach, size]) => (found[breach] ?? 0) < size).map(([breach]) => breach);
    expect({worse, paid}).toEqual({worse: [], paid: []});
  });

  it('has no drawers', () => {
    const drawers = files.filter((path) => path.split('/').some((part) => /^(utils?|helpers?|common|misc|shared|stuff)(\.\w+)*$/i.test(part)));
    expect(drawers).toEqual([]);
  });

  it('has no dead files', () => {
    expect(deadFiles()).toEqual([]);
  });

  it('has no test whose file is not named after what it tests', () => {
    const numbered = files.filter((path) => /\d+\.test\.ts$|\/test\d*\.ts$/.test(path)).map((path) => basename(path));
    expect(numbered).toEqual([]);
  });
});

function advice(breach: string): string {
  const rule = banned.find(({name}) => breach.startsWith(`${name}: `));
  return rule ? `: use ${rule.instead}` : ': split it';
}
