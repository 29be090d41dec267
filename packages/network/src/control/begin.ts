/**
 * How containers of a cluster that is new reach each other: from the start they do, unless somebody asked for something else, or the
 * machine that it begins with cannot. What a cluster had before stays: its containers would not reach those that come.
 */
import {CLUSTER_NETWORK, collections, networkBackends, NetworkSpec} from '@hivemind/contracts';
import {type FirstNetwork, type ManagerContext, recordEvent} from '@hivemind/service';
import * as z from 'zod';
import {networkErrors} from '../errors.ts';
import {networks, type Tables} from './tables.ts';

const Backend = z.enum(networkBackends).exclude(['wireguard']);
type Backend = z.infer<typeof Backend>;

/** @param given by who starts the manager; else `HIVEMIND_NETWORK_BACKEND` says. @throws `backend-unsupported` 422 */
export function askedBackend(given: string | undefined, env: Readonly<Record<string, string | undefined>>): Backend | undefined {
  const asked = given ?? (env.HIVEMIND_NETWORK_BACKEND || undefined);
  const {success, data} = Backend.optional().safeParse(asked);
  if (!success) throw networkErrors['backend-unsupported'](`The back-end ${asked} (--network, HIVEMIND_NETWORK_BACKEND) is none that a cluster begins with: use ${Backend.options.join(', ')}.${asked === 'wireguard' ? ' Whether machines can encrypt is known when they are there: hivemind network set --backend wireguard.' : ''}`);
  return data;
}

type Context = Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'> & {readonly network?: FirstNetwork};

/** Safe to repeat, and by several at once. A cluster without apps that began without a network, since its machine could have none, begins again. */
export async function beginNetwork(context: Context, tables: Pick<Tables, 'networks'>, asked: Backend | undefined): Promise<void> {
  const known = tables.networks.get(CLUSTER_NETWORK)?.value;
  if (known !== undefined && known.because === undefined) return;
  const used = await isUsed(context);
  if (known !== undefined && used) return;
  const {backend, because} = used ? {backend: 'none' as const, because: undefined} : await choose(context, asked);
  if (known?.because === because && known?.spec.backend === backend) return;
  const at = new Date(context.now()).toISOString();
  const record = {name: CLUSTER_NETWORK, labels: {}, annotations: {}, spec: NetworkSpec.parse({backend}), meta: {uid: context.uid(), generation: 1, createdAt: at, updatedAt: at}, ...(because === undefined ? {} : {because})};
  let isOurs = false;
  const stored = await networks.in(context.store).update(CLUSTER_NETWORK, (before) => {
    isOurs = before === undefined || before.because !== undefined;
    return isOurs ? {...record, meta: before?.meta ?? record.meta} : undefined;
  });
  if (!stored || !isOurs) return;
  await tables.networks.waitForRevision(stored.version);
  if (because === undefined) return;
  context.logger.warn({because}, 'this cluster begins without a network of its own: containers are on networks of the engine\'s, and reach no other machine');
  recordEvent(context, {namespace: 'default', kind: 'Network', name: CLUSTER_NETWORK, type: 'warning', reason: 'NoNetwork', message: `${because}: containers are on networks of the engine's own, and reach no other machine`});
}

async function choose({network}: Context, asked: Backend | undefined): Promise<{readonly backend: Backend; readonly because?: string}> {
  if (asked !== undefined) return {backend: asked};
  const because = await network?.unable?.();
  return because === undefined ? {backend: 'auto'} : {backend: 'none', because};
}

async function isUsed({store}: Context): Promise<boolean> {
  const pages = await Promise.all([collections.apps, collections.containers].map(({name}) => store.list(name, {limit: 1})));
  return pages.some(({records}) => records.length > 0);
}
