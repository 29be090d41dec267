/**
 * Keeps the fields that a newer release wrote and this one does not know (law 14).
 *
 * What the schema dropped while reading is what is unknown: it is in the stored document and not in what was parsed from
 * it. Those fields are put back where they were, unless the object they were in is gone.
 */

type Plain = Readonly<Record<string, unknown>>;

/** `next` with the unknown fields of `stored`; `parsed` is what the schema made of `stored`. */
export function preserveUnknown(stored: unknown, parsed: unknown, next: unknown): unknown {
  if (isPlain(stored) && isPlain(parsed) && isPlain(next)) return preserveInObject(stored, parsed, next);
  if (Array.isArray(stored) && Array.isArray(parsed) && Array.isArray(next) && stored.length === parsed.length) {
    return preserveInArray(stored, parsed, next);
  }
  return next;
}

function preserveInObject(stored: Plain, parsed: Plain, next: Plain): Plain {
  const result: Record<string, unknown> = {...next};
  for (const [field, value] of Object.entries(stored)) {
    if (field in parsed) {
      if (field in next) result[field] = preserveUnknown(value, parsed[field], next[field]);
    } else if (!(field in next)) {
      result[field] = value;
    }
  }
  return result;
}

/** Elements are matched by name, so that one that moved takes its unknown fields along; nameless ones by place. */
function preserveInArray(stored: readonly unknown[], parsed: readonly unknown[], next: readonly unknown[]): unknown[] {
  const before = new Map(parsed.map((element, index) => [identity(element, index), index]));
  return next.map((element, index) => {
    const from = before.get(identity(element, index));
    return from === undefined ? element : preserveUnknown(stored[from], parsed[from], element);
  });
}

function identity(element: unknown, index: number): string {
  if (isPlain(element)) {
    for (const field of ['uid', 'id', 'name', 'key']) {
      const value = element[field];
      if (typeof value === 'string') return `${field}=${value}`;
    }
  }
  return `#${index}`;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
