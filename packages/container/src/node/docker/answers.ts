/** What the engine answers, as far as the driver reads it. Everything else is ignored, so engines may differ. */
import {engineLabels, type PortBinding} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import * as z from 'zod';

/** Go renders an empty list or map as null. */
const orEmpty = <V extends z.ZodType>(value: V) => z.record(z.string(), value).nullish().transform((map) => map ?? {});

export const ListedContainer = z.object({Id: z.string(), Labels: orEmpty(z.string())});

export const InspectedContainer = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({
    Status: z.string(),
    OOMKilled: z.boolean().default(false),
    Pid: z.number().default(0),
    ExitCode: z.number().default(0),
    Error: z.string().default(''),
    StartedAt: z.string().default(''),
    FinishedAt: z.string().default(''),
  }),
  Config: z.object({Labels: orEmpty(z.string()), Tty: z.boolean().default(false)}),
  NetworkSettings: z.object({
    Networks: orEmpty(z.object({IPAddress: z.string().default(''), Aliases: z.array(z.string()).nullish()})),
    Ports: orEmpty(z.array(z.object({HostIp: z.string().default(''), HostPort: z.string()})).nullable()),
  }),
});
export type InspectedContainer = z.infer<typeof InspectedContainer>;

export const EngineEvent = z.object({
  Action: z.string(),
  Actor: z.object({ID: z.string(), Attributes: orEmpty(z.string())}),
  /** Nanoseconds; past 2^53, so the last digits are lost, which ms do not miss. */
  timeNano: z.number(),
});

/** One line of a pull's or build's progress. */
export const EngineProgress = z.object({
  status: z.string().optional(),
  stream: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z.object({current: z.number().optional(), total: z.number().optional()}).optional(),
});

const states: Readonly<Record<string, RuntimeContainer['state']>> = {created: 'created', running: 'running', restarting: 'running', paused: 'paused', exited: 'exited'};

export function toRuntimeContainer({Id, Name, State, Config, NetworkSettings}: InspectedContainer): RuntimeContainer {
  const state = states[State.Status] ?? 'dead';
  const over = state === 'exited' || state === 'dead';
  const ip = Object.values(NetworkSettings.Networks).find(({IPAddress}) => IPAddress !== '')?.IPAddress;
  return {
    runtimeId: Id,
    id: Config.Labels[engineLabels.container] ?? '',
    name: Name.replace(/^\//, ''),
    labels: Config.Labels,
    state,
    ...(State.Pid > 0 ? {pid: State.Pid} : {}),
    ...(over ? {exitCode: State.ExitCode} : {}),
    oomKilled: State.OOMKilled,
    ...(State.Error === '' ? {} : {error: State.Error}),
    ...moment('startedAt', State.StartedAt),
    ...(over ? moment('finishedAt', State.FinishedAt) : {}),
    ...(ip === undefined ? {} : {ip}),
    ports: boundPorts(NetworkSettings.Ports),
  };
}

/** Go's zero time is no time. */
function moment<K extends string>(key: K, text: string): {readonly [P in K]?: string} {
  const value = text === '' || text.startsWith('0001-') ? {} : {[key]: text};
  return value as {readonly [P in K]?: string};
}

/** One binding a port: where the engine bound IPv4 and IPv6 apart, the IPv4 one is the one to tell people. */
function boundPorts(ports: InspectedContainer['NetworkSettings']['Ports']): readonly PortBinding[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [container, protocol] = key.split('/');
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    const binding = bindings?.find(({HostIp}) => !HostIp.includes(':')) ?? bindings?.[0];
    if (!binding) return [];
    const any = binding.HostIp === '' || binding.HostIp === '0.0.0.0' || binding.HostIp === '::';
    return [{container: Number(container), protocol, host: Number(binding.HostPort), ...(any ? {} : {address: binding.HostIp})}];
  });
}
