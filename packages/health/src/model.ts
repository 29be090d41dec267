/** What health answers: how the cluster, its apps and its machines are doing. */
import {NodePhase} from '@hivemind/contracts';
import * as z from 'zod';

export const HealthLevel = z.enum(['healthy', 'degraded', 'unhealthy']);
export type HealthLevel = z.infer<typeof HealthLevel>;

const Trouble = z.object({container: z.string(), node: z.string(), phase: z.string(), reason: z.string(), message: z.string()});

export const AppHealth = z.object({
  name: z.string(),
  namespace: z.string(),
  level: HealthLevel,
  desired: z.number().int(),
  running: z.number().int(),
  ready: z.number().int(),
  /** Containers that are not well, and why. */
  troubles: z.array(Trouble),
});
export type AppHealth = z.infer<typeof AppHealth>;

export const NodeHealth = z.object({
  name: z.string(),
  level: HealthLevel,
  phase: NodePhase,
  runtimeAvailable: z.boolean(),
  containers: z.number().int(),
  notReady: z.number().int(),
  message: z.string(),
});
export type NodeHealth = z.infer<typeof NodeHealth>;

const Tally = z.object({total: z.number().int(), healthy: z.number().int()});
export const HealthSummary = z.object({level: HealthLevel, nodes: Tally, apps: Tally, containers: z.object({total: z.number().int(), running: z.number().int(), ready: z.number().int()})});
export type HealthSummary = z.infer<typeof HealthSummary>;
