/** What the driver keeps of a container in containerd: labels to find it by, and the rest, which labels are too short for. */
import {engineLabels} from '@hivemind/contracts';
import type {RuntimeContainer, RuntimeSpec} from '@hivemind/runtime';
import * as z from 'zod';
import type {Any, Container, Process} from './api/messages.ts';
import {specText} from './core/spec-text.ts';
import {fromTimestamp} from './core/time.ts';
import {Attachment, PublishedPort} from './network/attachment.ts';
import type {RunRecord} from './place.ts';

const EXTENSION = 'hivemind';
/** Of a container whose end nobody saw: the machine was restarted. */
const UNSEEN_END = 255;

const Kept = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  volumes: z.array(z.string()),
  /** It has a terminal. */
  tty: z.boolean(),
  /** Path of its control group. */
  cgroup: z.string(),
  /** Its networks, the first has the way out. */
  attachments: z.array(Attachment).default([]),
  published: z.array(PublishedPort).default([]),
  /** Domains in which it looks up names. */
  search: z.array(z.string()).default([]),
  /** Its `/etc/hosts` names the others: nobody else answers. */
  named: z.boolean().default(false),
});
export type Kept = z.infer<typeof Kept>;

/** The name where containerd takes it; containers of one name are one container. @param hash Of a text, in hex */
export function runtimeIdOf(name: string, hash: (text: string) => string): string {
  return name.length <= 76 && /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(name) ? name : hash(name);
}

export function keptOf({record, name, labels, mounts}: RuntimeSpec, cluster: string, cgroup: string, connections: Pick<Kept, 'attachments' | 'published' | 'search' | 'named'>): Kept {
  return {
    name,
    labels: {...record.template.containerLabels, ...labels, [engineLabels.cluster]: cluster, [engineLabels.container]: record.id},
    volumes: mounts.flatMap((mount) => (mount.type === 'volume' ? [mount.source] : [])),
    tty: record.template.tty ?? false,
    cgroup,
    ...connections,
  };
}

/** As containerd takes it. @param image its name */
export function toContainer(runtimeId: string, {kept, spec}: {readonly kept: Kept; readonly spec: Readonly<Record<string, unknown>>}, image: string, snapshotter: string): Container {
  return {
    id: runtimeId, labels: searchLabels(kept), image, runtime: {name: 'io.containerd.runc.v2', options: undefined},
    spec: {typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from(specText(spec))},
    snapshotter, snapshotKey: runtimeId, createdAt: undefined, extensions: toExtension(kept),
  };
}

/** Labels of containerd's: only those that containers are found by. */
function searchLabels({labels, name}: Kept): Readonly<Record<string, string>> {
  const kept = [engineLabels.cluster, engineLabels.container, engineLabels.namespace, engineLabels.app].flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]]));
  return {...Object.fromEntries(kept), 'hivemind.name': name};
}

function toExtension(kept: Kept): Readonly<Record<string, Any>> {
  return {[EXTENSION]: {typeUrl: 'hivemind/container', value: Buffer.from(JSON.stringify(kept))}};
}

/** undefined: it was not made by this driver. */
export function fromExtension({extensions}: Container): Kept | undefined {
  const value = extensions[EXTENSION]?.value;
  return value === undefined ? undefined : Kept.parse(JSON.parse(Buffer.from(value).toString('utf8')));
}

const running: Readonly<Record<string, RuntimeContainer['state']>> = {CREATED: 'created', RUNNING: 'running', PAUSED: 'paused', PAUSING: 'paused'};

/** @param task undefined: it has none */
export function toRuntimeContainer(runtimeId: string, kept: Kept, task: Process | undefined, run: RunRecord): RuntimeContainer {
  const state = running[task?.status ?? ''];
  if (task && state !== undefined) return alive(runtimeId, kept, state, task.pid, run);
  const base = baseOf(runtimeId, kept, run);
  if (!task && run.startedAt === undefined) return {...base, state: 'created'};
  const finishedAt = fromTimestamp(task?.exitedAt) ?? run.finishedAt;
  return {...base, state: 'exited', exitCode: task?.exitStatus ?? run.exitCode ?? UNSEEN_END, ...(finishedAt === undefined ? {} : {finishedAt})};
}

/** Just started. @param pid of its main process */
export function runningContainer(runtimeId: string, kept: Kept, pid: number, run: RunRecord): RuntimeContainer {
  return alive(runtimeId, kept, 'running', pid, run);
}

function alive(runtimeId: string, kept: Kept, state: RuntimeContainer['state'], pid: number, run: RunRecord): RuntimeContainer {
  const {attachments: [first], published} = kept;
  return {...baseOf(runtimeId, kept, run), state, ...(pid > 0 ? {pid} : {}), ...(first === undefined ? {} : {ip: first.address}), ports: published};
}

function baseOf(runtimeId: string, {name, labels}: Kept, {oomKilled = false, error, startedAt}: RunRecord): Omit<RuntimeContainer, 'state'> {
  return {runtimeId, id: labels[engineLabels.container] ?? '', name, labels, oomKilled, ports: [], ...(error === undefined ? {} : {error}), ...(startedAt === undefined ? {} : {startedAt})};
}
