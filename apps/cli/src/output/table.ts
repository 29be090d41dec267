/** Columns under titles, two spaces apart; nothing is cut, so that a pipe can rely on it. */

export interface Column<T> {
  readonly title: string;
  readonly value: (item: T) => string | number;
  /** Only with `-o wide`. */
  readonly wide?: true;
}

export function table<T>(items: readonly T[], columns: readonly Column<T>[]): string {
  const rows = [columns.map(({title}) => title), ...items.map((item) => columns.map(({value}) => clean(String(value(item)))))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows.map((row) => `${row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join('  ').trimEnd()}\n`).join('');
}

/** `name: value` lines, values aligned. */
export function fields(pairs: readonly (readonly [string, string | number | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length + 1));
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width)} ${clean(String(value))}\n`).join('');
}

const unprintable = /[\u0000-\u001f\u007f-\u009f]+/g;

/** One line, and nothing that moves the cursor: what is shown may come from a container. */
export function clean(text: string): string {
  return text.replaceAll(unprintable, ' ').trim() || '-';
}

/** The same for text of several lines, whose ends and indents stay. */
export function cleanLines(text: string): string {
  return text.split('\n').map((line) => line.replaceAll(unprintable, ' ').trimEnd()).join('\n');
}
