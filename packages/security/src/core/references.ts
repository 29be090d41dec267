/** Which secrets and configs a container uses, and where its spec says so. Pure. */
import {nearestName, type ContainerTemplate, type FieldError} from '@hivemind/contracts';

export interface Reference {
  readonly kind: 'secret' | 'config';
  readonly name: string;
  readonly key: string;
  /** Dotted, in the app's body. */
  readonly path: string;
}

type Referring = Pick<ContainerTemplate, 'env' | 'files' | 'pull'>;

/** Keys of the secret that a registry's credentials are in. */
const CREDENTIAL_KEYS = ['username', 'password'] as const;

export function referencesOf({env, files, pull}: Referring): readonly Reference[] {
  return [
    ...Object.entries(env).flatMap(([variable, value]) => (typeof value === 'string' ? [] : reference(value, value.key, `spec.env.${variable}`))),
    ...files.flatMap((file, index) => reference(file, file.key, `spec.files[${index}]`)),
    ...CREDENTIAL_KEYS.flatMap((key) => reference({secret: pull.secret}, key, 'spec.pull')),
  ];
}

function reference(from: {readonly secret?: string | undefined; readonly config?: string | undefined}, key: string, path: string): readonly Reference[] {
  if (from.secret !== undefined) return [{kind: 'secret', name: from.secret, key, path: `${path}.secret`}];
  return from.config === undefined ? [] : [{kind: 'config', name: from.config, key, path: `${path}.config`}];
}

/** Names of the secrets that a container may see. */
export function secretsOf(template: Referring): readonly string[] {
  return [...new Set(referencesOf(template).flatMap(({kind, name}) => (kind === 'secret' ? [name] : [])))];
}

/** What there is: name → keys. */
export type Known = Readonly<Record<Reference['kind'], ReadonlyMap<string, readonly string[]>>>;

/** A field error, with the way out, for each reference to what does not exist. */
export function referenceErrors(references: readonly Reference[], known: Known, namespace: string): readonly FieldError[] {
  return references.flatMap(({kind, name, key, path}) => {
    const keys = known[kind].get(name);
    if (keys === undefined) {
      const nearest = nearestName(name, [...known[kind].keys()]);
      return [{path, message: `${kind} ${name} does not exist in namespace ${namespace}: ${nearest === undefined ? `create it first, with POST /api/v1/${kind}s` : `did you mean ${nearest}?`}`}];
    }
    if (keys.includes(key)) return [];
    const nearest = nearestName(key, keys);
    return [{path: path.replace(/\.(?:secret|config)$/, '.key'), message: `${kind} ${name} has no key ${key}: ${nearest === undefined ? `it has ${keys.join(', ') || 'none'}` : `did you mean ${nearest}?`}`}];
  });
}
