/**
 * Files of variables (`.env`, `env_file`), read as Compose reads them: `KEY=value`, `export KEY=value`, `KEY: value`,
 * comments, single quotes (literal), double quotes (escapes and variables), unquoted (variables, ` #` starts a comment),
 * quoted values over several lines. A bare `KEY` takes its value from outside.
 */
import {interpolate, InterpolationError, type Lookup} from './interpolation.ts';

export class DotenvError extends Error {
  override readonly name = 'DotenvError';
  /** From 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const keyAt = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:([=:])[ \t]*|(?=\r?\n|#|$))/y;
const blankAt = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const restAt = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const escapes: Readonly<Record<string, string>> = {n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', "'": "'"};

/**
 * @param outside variables of the process: they win over those of the file where a value uses them
 * @throws DotenvError with the line
 */
export function parseDotenv(source: string, outside: Lookup): ReadonlyMap<string, string> {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const variables = new Map<string, string>();
  const lookup: Lookup = (name) => outside(name) ?? variables.get(name);
  let position = 0;
  const lineOf = (index: number): number => text.slice(0, index).split('\n').length;
  const expand = (value: string, start: number): string => {
    try {
      return interpolate(value, lookup);
    } catch (error) {
      if (error instanceof InterpolationError) throw new DotenvError(lineOf(start), error.message);
      throw error;
    }
  };
  while (position < text.length) {
    const blank = exec(blankAt, text, position);
    if (blank !== null) {
      position += Math.max(1, blank[0].length);
      continue;
    }
    const start = position;
    const key = exec(keyAt, text, position);
    const name = key?.[1];
    if (key === null || name === undefined) throw new DotenvError(lineOf(start), 'is not KEY=value');
    position += key[0].length;
    if (key[2] === undefined) {
      const inherited = outside(name);
      if (inherited !== undefined) variables.set(name, inherited);
      continue;
    }
    const value = readValue(text, position);
    if (value === undefined) throw new DotenvError(lineOf(start), `the quote after ${name}= is not closed, or something follows it`);
    variables.set(name, value.quote === "'" ? value.raw : value.quote === '"' ? expand(unescape(value.raw), start) : expand(value.raw, start));
    position = value.end;
  }
  return variables;
}

/** `format: raw`: everything after the first `=` is the value, as it stands. */
export function parseRawDotenv(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#') && line.includes('='));
  return new Map(pairs.map((line) => [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1)]));
}

interface RawValue {
  readonly raw: string;
  readonly quote: '"' | "'" | undefined;
  readonly end: number;
}

function readValue(text: string, start: number): RawValue | undefined {
  const quote = text[start];
  if (quote === '"' || quote === "'") {
    const close = closingQuote(text, start + 1, quote);
    const rest = close === undefined ? null : exec(restAt, text, close + 1);
    return close === undefined || rest === null ? undefined : {raw: text.slice(start + 1, close), quote, end: close + 1 + rest[0].length};
  }
  const newline = text.indexOf('\n', start);
  const end = newline === -1 ? text.length : newline;
  const line = text.slice(start, end);
  const comment = /(?:^|[ \t])#/.exec(line);
  return {raw: (comment === null ? line : line.slice(0, comment.index)).trim(), quote: undefined, end: newline === -1 ? end : end + 1};
}

function closingQuote(text: string, start: number, quote: string): number | undefined {
  for (let index = start; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === quote) return index;
  }
  return undefined;
}

/** `\$` becomes `$$`, which the interpolation that follows turns into a plain dollar sign. */
function unescape(raw: string): string {
  return raw.replaceAll(/\\(.)/gs, (whole, character: string) => (character === '$' ? '$$' : (escapes[character] ?? whole)));
}

function exec(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index;
  return pattern.exec(text);
}
