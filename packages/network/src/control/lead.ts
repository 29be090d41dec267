/** What one of the managers does: parts of machines that are gone are released, and machines hear of what changed for them. */
import {emit} from '@hivemind/bus';
import {networkChanged} from '@hivemind/contracts';
import {createController} from '@hivemind/controller';
import type {ManagerContext} from '@hivemind/service';
import type {Fence} from '@hivemind/store';
import {withoutGone} from '../core/subnets.ts';
import {IPV4, specOf, subnets, subnetsOf, type Tables, virtualIpsOf} from './tables.ts';
import type {Views} from './views.ts';

const RESYNC_MS = 60_000;

/** Leads until `signal` aborts. */
export async function lead({context, tables, views}: {readonly context: Pick<ManagerContext, 'store' | 'bus' | 'logger' | 'random'>; readonly tables: Tables; readonly views: Views}, fence: Fence, signal: AbortSignal): Promise<void> {
  let told = '';
  const reconcile = async (): Promise<void> => {
    await release(context, tables, fence);
    const {backend} = specOf(tables);
    const news = JSON.stringify([specOf(tables), backend === 'none' ? [] : [virtualIpsOf(tables), views.peers()]]);
    if (news === told) return;
    await emit(context.bus, networkChanged, {}, {});
    told = news;
  };
  const controller = createController({name: 'network', logger: context.logger, random: () => context.random(), reconcile, keys: () => ['network'], resyncMs: RESYNC_MS});
  const wake = (): void => controller.wake('network');
  const stops = [tables.networks.onChange(wake), tables.subnets.onChange(wake), tables.nodes.onChange(wake), tables.discoverySettings.onChange(wake)];
  controller.start();
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), {once: true});
    if (signal.aborted) resolve();
  });
  for (const stop of stops) stop();
  await controller.stop();
}

async function release({store, logger}: Pick<ManagerContext, 'store' | 'logger'>, tables: Tables, fence: Fence): Promise<void> {
  const present = new Set(tables.nodes.list().map(({key}) => key));
  const known = subnetsOf(tables);
  if (withoutGone(known, present) === known) return;
  const written = await subnets.in(store).update(IPV4, (record) => record && withoutGone(record, present), {fence});
  if (!written) return;
  await tables.subnets.waitForRevision(written.version);
  logger.info({nodes: Object.keys(known.leases).filter((node) => !present.has(node))}, 'addresses of machines that are gone were released');
}
