/** What a plan is asked for: the body as `apply` would send it, as far as that is known before anything is done. */
import {isDeepStrictEqual} from 'node:util';
import {IngressBody, NetworkPolicyBody} from '@hivemind/contracts';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {ConfigView, ResourceView} from '../api/views.ts';
import type {Session} from '../session.ts';
import {collections, type Resource} from './bundle.ts';
import {type Existing, existingKey} from './existing.ts';
import {fileVersionsLabel} from './rollout.ts';

const Reference = z.object({config: z.string().optional(), secret: z.string().optional()});
const Spec = z.looseObject({
  files: z.array(z.unknown()).optional(),
  env: z.record(z.string(), z.unknown()).optional(),
  containerLabels: z.record(z.string(), z.string()).optional(),
});
const CurrentApp = z.object({spec: z.object({containerLabels: z.record(z.string(), z.string()).default({})})});

/**
 * Configs and secrets that do not exist yet would make the server refuse the plan: they are left out of it. Those that
 * exist count as unchanged, with the generations that the app carries now.
 */
export async function previewOf(session: Session, app: Resource, existing: ReadonlyMap<string, Existing>): Promise<Resource> {
  const spec = Spec.parse(app.body.spec);
  const present = (value: unknown): boolean => {
    const {config, secret} = Reference.safeParse(value).data ?? {};
    const name = config ?? secret;
    return name === undefined || existing.has(existingKey({kind: config === undefined ? 'Secret' : 'Config', namespace: app.namespace, name}));
  };
  const versions = existing.has(existingKey(app)) ? (await session.api.get(path`/apps/${app.name}`, CurrentApp, {namespace: app.namespace})).data.spec.containerLabels[fileVersionsLabel] : undefined;
  return {
    ...app,
    body: {
      ...app.body,
      spec: {
        ...spec,
        ...(spec.files === undefined ? {} : {files: spec.files.filter(present)}),
        ...(spec.env === undefined ? {} : {env: Object.fromEntries(Object.entries(spec.env).filter(([, value]) => present(value)))}),
        ...(versions === undefined ? {} : {containerLabels: {...spec.containerLabels, [fileVersionsLabel]: versions}}),
      },
    },
  };
}

const Contents = z.object({data: z.record(z.string(), z.string()).default({}), encoding: z.string().default('text')});

/** What these say is no more than their spec; `apply` writes them as the server does, with what is left out filled in. */
const described = {NetworkPolicy: NetworkPolicyBody, Ingress: IngressBody} as const;
const DescribedView = ResourceView.extend({spec: z.unknown()});

async function isSame({api}: Session, {kind, name, namespace, body}: Resource, schema: (typeof described)[keyof typeof described]): Promise<boolean> {
  const {data} = await api.get(`${collections[kind]}${path`/${name}`}`, DescribedView, {namespace});
  const [before, after] = [{name, labels: data.labels, annotations: data.annotations, spec: data.spec}, body].map((written) => {
    const {labels, annotations, spec} = schema.parse(written);
    return {labels, annotations, spec};
  });
  return isDeepStrictEqual(before, after);
}

/** What would become of anything but an app, in words; undefined: nothing worth a line. */
export async function previewLine(session: Session, resource: Resource, existing: ReadonlyMap<string, Existing>): Promise<string | undefined> {
  const label = `${resource.kind.toLowerCase()}/${resource.name}`;
  if (!existing.has(existingKey(resource))) return resource.implied === true && resource.name === 'default' ? undefined : `+ ${label} would be created`;
  if (resource.implied === true) return undefined;
  if (resource.kind === 'Secret') return `~ ${label} would be written: what it holds now cannot be read, so whether it differs is not known`;
  if (resource.kind === 'NetworkPolicy' || resource.kind === 'Ingress') return (await isSame(session, resource, described[resource.kind])) ? `= ${label} stays as it is` : `~ ${label} would be changed`;
  if (resource.kind !== 'Config') return `= ${label} is there`;
  const {data: current} = await session.api.get(path`/configs/${resource.name}`, ConfigView, {namespace: resource.namespace});
  const wanted = Contents.parse(resource.body.spec);
  const same = wanted.encoding === current.spec.encoding && JSON.stringify(Object.entries(wanted.data).sort()) === JSON.stringify(Object.entries(current.spec.data).sort());
  return same ? `= ${label} stays as it is` : `~ ${label} would be changed, and the apps that mount it rolled out anew`;
}
