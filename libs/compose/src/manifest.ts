/** Native manifests: documents with a `kind`, several in a file, `spec` nested or written flat. */
import {AppBody, ConfigBody, type FieldError, fieldErrors, IngressBody, nearestName, NamespaceBody, NetworkPolicyBody, SecretBody, VolumeBody} from '@hivemind/contracts';
import type * as z from 'zod';
import {composeErrors} from './errors.ts';
import {entry, locate, pathIn, positionText, toPlain, type Tree} from './tree.ts';
import {parseYaml} from './yaml.ts';

const schemas = {Namespace: NamespaceBody, NetworkPolicy: NetworkPolicyBody, Config: ConfigBody, Secret: SecretBody, Volume: VolumeBody, App: AppBody, Ingress: IngressBody} as const;
export type ManifestKind = keyof typeof schemas;

/** A body for PUT, as written (defaults are the server's), checked against the contract. */
export interface ManifestResource {
  readonly kind: ManifestKind;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

const envelope = new Set(['kind', 'name', 'namespace', 'labels', 'annotations', 'spec', 'status', 'meta']);

/** Whether a file holds manifests rather than a Compose project. @throws `yaml-malformed` */
export function isManifest(text: string, file: string): boolean {
  const [first] = parseYaml(text, file);
  return entry(first, 'kind') !== undefined && entry(first, 'services') === undefined;
}

/**
 * @throws `yaml-malformed` (400), `manifest-invalid` (422) with a field error, file, line and column for every wrong place
 */
export function readManifest(text: string, file: string): readonly ManifestResource[] {
  const errors: FieldError[] = [];
  const documents = parseYaml(text, file);
  const resources = documents.flatMap((tree, index) => {
    const read = readOne(tree, errors, documents.length > 1 ? `document ${index + 1}, ${nameIn(tree)}: ` : '');
    return read === undefined ? [] : [read];
  });
  const [first] = errors;
  if (first !== undefined) throw composeErrors['manifest-invalid'](`${file} is not valid: ${first.path} ${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`, {errors});
  return resources;
}

/** What a document calls itself. */
function nameIn(tree: Tree): string {
  const said = ['kind', 'name'].map((key) => entry(tree, key)).flatMap((value) => (value?.kind === 'scalar' ? [String(value.value)] : []));
  return said.join(' ') || 'which has neither kind nor name';
}

/** @param which of the file's documents, for errors */
function readOne(tree: Tree, errors: FieldError[], which: string): ManifestResource | undefined {
  const kind = toPlain(entry(tree, 'kind') ?? tree);
  if (typeof kind !== 'string' || !isKind(kind)) {
    const known = Object.keys(schemas);
    const nearest = typeof kind === 'string' ? nearestName(kind, known) : undefined;
    errors.push({path: 'kind', message: `${typeof kind === 'string' ? JSON.stringify(kind) : 'nothing'}: is not a kind; ${nearest === undefined ? `known here: ${known.join(', ')}` : `did you mean ${nearest}?`} (${which}${positionText(locate(tree, ['kind']))})`});
    return undefined;
  }
  const {body, flat} = nested(tree);
  const schema: z.ZodType<{name: string; namespace?: string}> = schemas[kind];
  const parsed = schema.safeParse(body);
  if (parsed.success) return {kind, name: parsed.data.name, namespace: parsed.data.namespace, body};
  for (const {path, message} of fieldErrors(parsed.error, schema, body)) {
    const written = flat ? path.replace(/^spec\.?/, '') : path;
    errors.push({path: written, message: `${message} (${which}${positionText(locate(tree, pathIn(tree, written)))})`});
  }
  return undefined;
}

function isKind(kind: string): kind is ManifestKind {
  return Object.hasOwn(schemas, kind);
}

/** Without `spec`, whatever is not part of the envelope is the spec. */
function nested(tree: Tree): {readonly body: Readonly<Record<string, unknown>>; readonly flat: boolean} {
  const body: Record<string, unknown> = {};
  const spec: Record<string, unknown> = {};
  const flat = entry(tree, 'spec') === undefined;
  if (tree.kind === 'map') {
    for (const [key, value] of tree.entries) {
      if (flat && !envelope.has(key)) spec[key] = toPlain(value);
      else body[key] = toPlain(value);
    }
  }
  return {body: flat ? {...body, spec} : body, flat};
}
