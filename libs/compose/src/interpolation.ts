/**
 * Variables in text, as the Compose specification has them: `$VAR`, `${VAR}`, and with a word that may itself hold
 * variables: `${VAR:-default}` (unset or empty), `${VAR-default}` (unset), `${VAR:?error}`, `${VAR?error}`,
 * `${VAR:+instead}` (set and not empty), `${VAR+instead}` (set). `$$` is a dollar sign.
 */

/** The value of a variable, or undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Wrong syntax, or a variable that `?` says must be there. */
export class InterpolationError extends Error {
  override readonly name = 'InterpolationError';
}

const nameAt = /[A-Za-z_][A-Za-z0-9_]*/y;
const operatorAt = /:?[-?+]/y;

/**
 * @param missing called with each variable that was used plainly and is not set; it counts as empty
 * @throws InterpolationError
 */
export function interpolate(text: string, lookup: Lookup, missing: (name: string) => void = () => {}): string {
  let result = '';
  let position = 0;
  while (position < text.length) {
    const dollar = text.indexOf('$', position);
    if (dollar === -1) return result + text.slice(position);
    result += text.slice(position, dollar);
    const substituted = substitution(text, dollar, lookup, missing);
    result += substituted.value;
    position = substituted.end;
  }
  return result;
}

function substitution(text: string, dollar: number, lookup: Lookup, missing: (name: string) => void): {readonly value: string; readonly end: number} {
  const next = text[dollar + 1];
  if (next === '$') return {value: '$', end: dollar + 2};
  if (next === '{') return braced(text, dollar, lookup, missing);
  const name = match(nameAt, text, dollar + 1);
  if (name === undefined) throw invalid(text);
  return {value: plain(name, lookup, missing), end: dollar + 1 + name.length};
}

function braced(text: string, dollar: number, lookup: Lookup, missing: (name: string) => void): {readonly value: string; readonly end: number} {
  const close = closingBrace(text, dollar + 2);
  const name = match(nameAt, text, dollar + 2);
  if (name === undefined || close === undefined) throw invalid(text);
  const end = close + 1;
  const afterName = dollar + 2 + name.length;
  if (afterName === close) return {value: plain(name, lookup, missing), end};
  const operator = match(operatorAt, text, afterName);
  if (operator === undefined) throw invalid(text);
  const word = text.slice(afterName + operator.length, close);
  const value = lookup(name);
  const present = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
  // The word is read only where it is used: a `?` inside an unused default must not fail.
  switch (operator.at(-1)) {
    case '-':
      return {value: present ? (value ?? '') : interpolate(word, lookup, missing), end};
    case '+':
      return {value: present ? interpolate(word, lookup, missing) : '', end};
    default: {
      if (present) return {value: value ?? '', end};
      const reason = interpolate(word, lookup, missing);
      throw new InterpolationError(`the variable ${name} must be set${reason === '' ? '' : `: ${reason}`}`);
    }
  }
}

function plain(name: string, lookup: Lookup, missing: (name: string) => void): string {
  const value = lookup(name);
  if (value === undefined) missing(name);
  return value ?? '';
}

/** Index of the `}` that ends the expression whose inside starts at `start`; inner `${…}` are skipped whole. */
function closingBrace(text: string, start: number): number | undefined {
  let depth = 1;
  for (let index = start; index < text.length; index++) {
    if (text.startsWith('$$', index)) index++;
    else if (text.startsWith('${', index)) {
      depth++;
      index++;
    } else if (text[index] === '}' && --depth === 0) return index;
  }
  return undefined;
}

function match(pattern: RegExp, text: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0];
}

function invalid(text: string): InterpolationError {
  return new InterpolationError(`${JSON.stringify(text)} is not a valid use of variables; write $$ for a dollar sign`);
}
