/** `hivemind status` and `hivemind version`. */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {fields} from '../output/table.ts';
import {version} from '@hivemind/contracts/version';
import {type Host, leaf, noArgs, noOptions} from './define.ts';

const Status = z.object({
  version: z.string(),
  cluster: z.string(),
  startedAt: z.string().default(''),
  warnings: z.array(z.string()).default([]),
  store: z.object({driver: z.string(), revision: z.string()}).optional(),
  bus: z.object({driver: z.string(), connected: z.boolean()}).optional(),
  tls: z.string().default(''),
  nodes: z.array(z.object({name: z.string(), ready: z.boolean(), runtime: z.object({name: z.string(), version: z.string(), available: z.boolean()})})).default([]),
  counts: z.record(z.string(), z.number()).default({}),
});
const Version = z.object({version: z.string(), cluster: z.string().default(''), node: z.string().default('')});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'status', summary: 'How the cluster is', example: 'status', args: noArgs, options: noOptions,
    async run(session) {
      const {data, raw} = await session.api.get('/status', Status);
      await session.output.one(raw, () => fields([
        ['Server', session.api.server], ['Version', data.version], ['Cluster', data.cluster], ['Since', data.startedAt],
        ['Store', data.store === undefined ? undefined : `${data.store.driver}, revision ${data.store.revision}`],
        ['Bus', data.bus === undefined ? undefined : `${data.bus.driver}${data.bus.connected ? '' : ', not connected'}`],
        ['Nodes', data.nodes.map(({name, ready, runtime}) => `${name} (${ready ? 'ready' : 'not ready'}, ${runtime.name} ${runtime.version}${runtime.available ? '' : ' away'})`).join(', ')],
        ['Holds', Object.entries(data.counts).filter(([, count]) => count > 0).map(([name, count]) => `${count} ${name}`).join(', ')],
      ]) + data.warnings.map((warning) => `Warning: ${warning}\n`).join(''));
    },
  });
  leaf(parent, host, {
    use: 'version', summary: 'Versions of this command and of the server', example: 'version', args: noArgs, options: noOptions,
    async run(session) {
      // Without a server the command still has a version.
      const server = await session.api.get('/version', Version).then(({data}) => data, (error: unknown) => {
        if (isError(error)) return error.message;
        throw error;
      });
      const found = typeof server === 'string' ? {server: null, reason: server} : {server: server.version, cluster: server.cluster, node: server.node};
      await session.output.one({command: version, ...found}, () => fields([['Command', version], ['Server', typeof server === 'string' ? server : `${server.version} (cluster ${server.cluster}, Node ${server.node})`]]));
    },
  });
}
