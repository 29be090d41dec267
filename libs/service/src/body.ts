/** Reading bodies: JSON and YAML, refused with the line and column that is wrong. */
import {commonErrors, type HivemindError} from '@hivemind/contracts';
import type {FastifyInstance} from 'fastify';

/** Most levels of a body; more is an attack on whatever recurses over it. */
const MAX_DEPTH = 64;

const JSON_TYPES = ['application/json', 'application/merge-patch+json'];
const YAML_TYPES = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

/** Takes over `app`'s body parsing. An empty body is no body. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(JSON_TYPES, {parseAs: 'string'}, async (_request: unknown, text: string) => parseJson(text));
  app.addContentTypeParser(YAML_TYPES, {parseAs: 'string'}, async (_request: unknown, text: string) => parseYaml(text));
}

/** @throws `malformed` 400 with line and column */
export function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const {line, column} = positionAt(text, jsonErrorOffset(text, error));
    throw malformed('JSON', line, column, jsonReason(error));
  }
  return checkShape(value, 'JSON');
}

/** @throws `malformed` 400 with line and column */
export async function parseYaml(text: string): Promise<unknown> {
  if (text.trim() === '') return undefined;
  const {parseDocument} = await import('yaml');
  const document = parseDocument(text, {prettyErrors: false, merge: true, uniqueKeys: true});
  const error = document.errors[0];
  if (error) {
    const {line, column} = positionAt(text, error.pos[0]);
    throw malformed('YAML', line, column, error.code === 'MULTIPLE_DOCS' ? 'one document at a time is read here' : error.message);
  }
  let value: unknown;
  try {
    // Aliases multiply: the limit is what keeps a small text from becoming a huge value.
    value = document.toJS({maxAliasCount: 100});
  } catch (cause) {
    throw commonErrors.malformed(`The body is not valid YAML: ${cause instanceof Error ? cause.message : String(cause)}.`);
  }
  return checkShape(value, 'YAML');
}

function malformed(format: string, line: number, column: number, reason: string): HivemindError {
  return commonErrors.malformed(`The body is not valid ${format} at line ${line}, column ${column}: ${reason}.`, {
    errors: [{path: '', message: `line ${line}, column ${column}: ${reason}`}],
  });
}

function jsonReason(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  // V8 quotes the text around an unexpected token; what was sent is not repeated, as it may hold a secret.
  return message.replace(/ in JSON at position.*$/s, '').replace(/, (\.\.\.)?".*$/s, '').replace(/ JSON input$/, '').replace(/ after JSON$/, ' after the end');
}

function jsonErrorOffset(text: string, error: unknown): number {
  const message = error instanceof Error ? error.message : '';
  const position = / at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  if (!isUnexpectedToken(message)) return text.length;
  // V8 does not say where that token is; the shortest prefix that fails in the same way ends with it.
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (failsAtToken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return bad - 1;
}

function failsAtToken(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return false;
  } catch (error) {
    return error instanceof Error && isUnexpectedToken(error.message);
  }
}

const isUnexpectedToken = (message: string): boolean => message.startsWith('Unexpected token');

function positionAt(text: string, offset: number): {line: number; column: number} {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return {line: before.split('\n').length, column: offset - lineStart + 1};
}

/** Refuses what no schema could see: names that reach an object's prototype, and nesting without end. */
function checkShape(value: unknown, format: string): unknown {
  const pending: {value: unknown; depth: number}[] = [{value, depth: 0}];
  for (let next = pending.pop(); next; next = pending.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.depth >= MAX_DEPTH) throw commonErrors.malformed(`The body is nested more than ${MAX_DEPTH} levels deep.`);
    if (Object.hasOwn(next.value, '__proto__')) throw commonErrors.malformed(`The ${format} has a field named __proto__, which is never read.`);
    for (const child of Object.values(next.value)) pending.push({value: child, depth: next.depth + 1});
  }
  return value;
}
