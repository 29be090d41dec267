/** docs/benchmarks.md, written by the run itself. */
import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {cpus, release, totalmem} from 'node:os';
import {join} from 'node:path';
import {formatValue, meets, type Row} from './measure.ts';

export interface Setting {
  /** Docker Engine's version, or what stands in its place. */
  readonly engine: string;
  /** What was measured: the bundle, or the source. */
  readonly subject: string;
}

export function printRows(rows: readonly Row[]): void {
  for (const row of rows) console.log(`${verdict(row).padEnd(6)} ${row.what}: ${formatValue(row.value, row.unit)}  [${row.detail}]`);
}

function verdict(row: Row): string {
  if (row.goal !== undefined && meets(row, row.goal)) return 'goal';
  if (row.must !== undefined && meets(row, row.must)) return 'must';
  return row.must === undefined ? '' : 'MISSED';
}

/** Replaces the section of `title` in docs/benchmarks.md, or adds it. */
export function writeReport(title: string, rows: readonly Row[], setting: Setting): void {
  const root = join(import.meta.dirname, '..');
  const path = join(root, 'docs/benchmarks.md');
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {cwd: root, encoding: 'utf8'}).trim();
  const bound = (row: Row, value: number | undefined): string => (value === undefined ? '' : `${row.better === 'lower' ? '≤' : '≥'} ${formatValue(value, row.unit)}`);
  const section = [
    `## ${title}`,
    '',
    `Measured ${new Date().toISOString().slice(0, 10)} on ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}; Docker Engine ${setting.engine}; Node ${process.version}; ${setting.subject}, commit ${commit}.`,
    '',
    '| what | measured | must | goal | |',
    '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row.what} | **${formatValue(row.value, row.unit)}** | ${bound(row, row.must)} | ${bound(row, row.goal)} | ${row.detail} |`),
    '',
  ].join('\n');
  const head = '# Benchmarks\n\nWritten by `npm run bench -- --write`. Ratios are taken within one run, in turns with the peer or the floor; values are medians.\n\n';
  const before = read(path) ?? head;
  const start = before.indexOf(`## ${title}\n`);
  const next = start < 0 ? -1 : before.indexOf('\n## ', start + 1);
  const kept = start < 0 ? `${before.trimEnd()}\n\n` : before.slice(0, start);
  writeFileSync(path, `${kept}${section}${next < 0 ? '' : before.slice(next)}`);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
