/** What the scheduler answers over HTTP. */
import {NodeRefusal, placementStrategies, PortBinding} from '@hivemind/contracts';
import * as z from 'zod';

export const SchedulerConfig = z.object({
  kind: z.literal('SchedulerConfig'),
  spec: z.object({
    /** Where an app names none. */
    strategy: z.literal('best-fit'),
    strategies: z.array(z.enum(placementStrategies)),
    /** Where an app asks for none. `soft`: fewest containers of the same app first, never a reason to refuse. */
    spread: z.literal('soft'),
    /** Checks that each node is put to, in this order. */
    filters: z.array(z.string()),
  }),
});
export type SchedulerConfig = z.infer<typeof SchedulerConfig>;

/** Where an app's replicas would go now, if it were new. */
export const Simulation = z.object({
  app: z.string(),
  namespace: z.string(),
  placements: z.array(z.object({container: z.string(), node: z.string(), ports: z.array(PortBinding)})),
  refusals: z.array(z.object({container: z.string(), nodes: z.array(NodeRefusal)})),
});
export type Simulation = z.infer<typeof Simulation>;

/** Why a container is where it is: what each node would say to it now, the best first. */
export const Explanation = z.object({
  container: z.string(),
  node: z.string(),
  nodes: z.array(z.object({node: z.string(), fits: z.boolean(), reason: z.string()})),
});
export type Explanation = z.infer<typeof Explanation>;
