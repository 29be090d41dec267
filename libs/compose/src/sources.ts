/** Top-level `configs` and `secrets`: where their contents come from, and how a service sees them as files. */
import type {AppSpecInput} from '@hivemind/contracts';
import type {Lookup} from './interpolation.ts';
import {type FileReference, isExternal, type Source} from './schema.ts';
import type {Scope} from './scope.ts';

export type Kind = 'config' | 'secret';
type File = NonNullable<AppSpecInput['files']>[number];

/** The one key of a Config or Secret made from a Compose file, and the key that an external one must have. */
export const contentKey = 'value';

export interface Contents {
  readonly data: Readonly<Record<string, string>>;
  readonly encoding?: 'base64';
}

/** The contents of a source; undefined when it lives outside the file, or cannot be read (an error in `scope`). */
export async function readSource(source: Source, lookup: Lookup, readFile: (path: string) => Promise<Uint8Array | undefined>, scope: Scope): Promise<Contents | undefined> {
  const given = [source.file, source.environment, source.content].filter((place) => place !== undefined);
  if (isExternal(source.external)) {
    scope.info(`is not part of the file: it must be in the namespace already, with the key ${contentKey}`);
    return undefined;
  }
  if (given.length !== 1) {
    scope.error('needs exactly one of file, environment, content and external');
    return undefined;
  }
  if (source.content !== undefined) return {data: {[contentKey]: source.content}};
  if (source.environment !== undefined) {
    const value = lookup(source.environment);
    if (value === undefined) scope.at('environment').error(`the variable ${source.environment} is not set`);
    return value === undefined ? undefined : {data: {[contentKey]: value}};
  }
  const bytes = await readFile(source.file ?? '');
  if (bytes === undefined) scope.at('file').error(`there is no file ${source.file ?? ''}`);
  return bytes === undefined ? undefined : contentsOf(bytes);
}

/** Text stays text; anything else travels as base64. */
export function contentsOf(bytes: Uint8Array): Contents {
  try {
    return {data: {[contentKey]: new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes)}};
  } catch {
    return {data: {[contentKey]: Buffer.from(bytes).toString('base64')}, encoding: 'base64'};
  }
}

/** Files of one service. Secrets are under /run/secrets, configs at the root, as Compose has it. */
export function readFiles(kind: Kind, references: readonly FileReference[], sources: Readonly<Record<string, Source>>, nameOf: (source: string) => string, scope: Scope): File[] {
  return references.flatMap((reference, index) => {
    const place = scope.at(`${kind}s`, index);
    const source = sources[reference.source];
    if (source === undefined) {
      place.error(`there is no ${kind} ${reference.source} under ${kind}s of the file`);
      return [];
    }
    if (reference.mode !== undefined && reference.mode > 0o777) place.at('mode').error('is not a file mode: write three octal digits, as in 0440');
    const name = nameOf(reference.source);
    const target = reference.target ?? reference.source;
    return [{
      mount: target.startsWith('/') ? target : `${kind === 'secret' ? '/run/secrets/' : '/'}${target}`,
      ...(kind === 'secret' ? {secret: name} : {config: name}),
      key: contentKey,
      ...(reference.mode === undefined ? {} : {mode: reference.mode.toString(8).padStart(4, '0')}),
      ...(reference.uid === undefined ? {} : {uid: reference.uid}),
      ...(reference.gid === undefined ? {} : {gid: reference.gid}),
    }];
  });
}
