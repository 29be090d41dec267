/**
 * A container keeps the files it was started with. So an app carries the generations of the configs and secrets it mounts,
 * as a label of its containers: new contents make a new revision, and are rolled out like any other change.
 */
import * as z from 'zod';
import {existingKey} from './existing.ts';
import type {Resource} from './bundle.ts';

/** `config/site@3 secret/db@1`. */
export const fileVersionsLabel = 'io.hivemind.files';

const Spec = z.looseObject({
  files: z.array(z.looseObject({config: z.string().optional(), secret: z.string().optional()})).default([]),
  env: z.record(z.string(), z.unknown()).default({}),
  containerLabels: z.record(z.string(), z.string()).default({}),
});
const Reference = z.object({config: z.string().optional(), secret: z.string().optional()});

/** @param written generation of each resource that was just applied, by its key */
export function withFileVersions(app: Resource, written: ReadonlyMap<string, number>): Resource {
  const spec = Spec.safeParse(app.body.spec);
  if (!spec.success) return app;
  const references = [...spec.data.files, ...Object.values(spec.data.env).flatMap((value) => Reference.safeParse(value).data ?? [])];
  const versions = new Set(references.flatMap(({config, secret}) => {
    const kind = config === undefined ? 'Secret' : 'Config';
    const name = config ?? secret;
    const generation = name === undefined ? undefined : written.get(existingKey({kind, namespace: app.namespace, name}));
    return generation === undefined ? [] : [`${kind.toLowerCase()}/${name}@${generation}`];
  }));
  if (versions.size === 0) return app;
  const containerLabels = {...spec.data.containerLabels, [fileVersionsLabel]: [...versions].sort().join(' ')};
  return {...app, body: {...app.body, spec: {...z.looseObject({}).parse(app.body.spec), containerLabels}}};
}
