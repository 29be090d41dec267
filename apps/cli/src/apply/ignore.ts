/**
 * `.dockerignore` as the engine's own client reads it: a pattern a line from the root of the context, `*`, `?`, `[…]` within
 * a name, `**` over any number of directories, `!` takes back, the last line that matches decides. A directory that is
 * ignored takes what is below it along.
 */

interface Rule {
  readonly pattern: RegExp;
  readonly keep: boolean;
  /** Literal path before the first wildcard. */
  readonly prefix: string;
}

export class Ignore {
  readonly #rules: readonly Rule[];

  constructor(text: string) {
    this.#rules = text.replace(/^\uFEFF/, '').split(/\r?\n/).flatMap((line) => {
      const trimmed = line.trim();
      if (trimmed === '' || line.startsWith('#')) return [];
      const keep = trimmed.startsWith('!');
      const path = normalise(keep ? trimmed.slice(1).trim() : trimmed);
      return path === '' ? [] : [{pattern: toRegExp(path), keep, prefix: path.split(/[*?[\\]/)[0] ?? ''}];
    });
  }

  /** @param path relative to the context, with slashes */
  ignores(path: string): boolean {
    const segments = path.split('/');
    let ignored = false;
    for (const {pattern, keep} of this.#rules) {
      // A rule speaks of a path when it matches it or a directory that it is in.
      const matches = segments.some((_, index) => pattern.test(segments.slice(0, index + 1).join('/')));
      if (matches) ignored = !keep;
    }
    return ignored;
  }

  /** Whether something below an ignored directory may be taken back. */
  mayKeepBelow(directory: string): boolean {
    return this.#rules.some(({keep, prefix}) => keep && (prefix.startsWith(`${directory}/`) || `${directory}/`.startsWith(prefix)));
  }
}

function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function toRegExp(path: string): RegExp {
  let source = '';
  for (let index = 0; index < path.length; index++) {
    const character = path[index] ?? '';
    if (path.startsWith('**', index)) {
      index++;
      // `**/x` is x at any depth, the root included.
      if (path[index + 1] === '/') {
        index++;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[' && path.includes(']', index + 1)) {
      const end = path.indexOf(']', index + 1);
      source += `[${path.slice(index + 1, end).replaceAll('\\', '\\\\')}]`;
      index = end;
    } else {
      const literal = character === '\\' ? (path[++index] ?? '\\') : character;
      source += literal.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    }
  }
  return new RegExp(`^${source}$`);
}
