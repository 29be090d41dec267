/** What a command says: tables for people, JSON and YAML for programs; progress and notices beside it, on stderr. */
import type {Terminal} from '../terminal.ts';
import {type Column, table} from './table.ts';

export const formats = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof formats)[number];

export class Output {
  readonly format: Format;
  readonly #terminal: Pick<Terminal, 'out' | 'err'>;

  constructor(format: Format, terminal: Pick<Terminal, 'out' | 'err'>) {
    this.format = format;
    this.#terminal = terminal;
  }

  /** For programs: nothing but the data may be on stdout. */
  get structured(): boolean {
    return this.format === 'json' || this.format === 'yaml';
  }

  /** A list: JSON is an array, YAML a document each, so that `apply -f` takes it back. */
  async list<T>(items: readonly T[], raw: readonly unknown[], columns: readonly Column<T>[], nothing: string): Promise<void> {
    if (this.format === 'json') this.print(`${JSON.stringify(raw, null, 2)}\n`);
    else if (this.format === 'yaml') this.print(await documents(raw));
    else if (items.length === 0) this.note(nothing);
    else this.print(table(items, columns.filter(({wide}) => this.format === 'wide' || wide !== true)));
  }

  async one(raw: unknown, text: () => string): Promise<void> {
    if (this.format === 'json') this.print(`${JSON.stringify(raw, null, 2)}\n`);
    else if (this.format === 'yaml') this.print(await documents([raw]));
    else this.print(text());
  }

  /** To stdout, as it is. */
  print(text: string): void {
    this.#terminal.out.write(text);
  }

  /** What was done, in a line; for programs it is not data. */
  say(line: string): void {
    (this.structured ? this.#terminal.err : this.#terminal.out).write(`${line}\n`);
  }

  /** Beside the data: progress, notices. */
  note(line: string): void {
    this.#terminal.err.write(`${line}\n`);
  }
}

async function documents(raw: readonly unknown[]): Promise<string> {
  const {stringify} = await import('yaml');
  return raw.map((item) => stringify(item)).join('---\n');
}
