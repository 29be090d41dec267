/** Putting another container in the place of one: this one is told to go, and the reconciler makes what is then missing. */
import {emit, serve, type Subscription} from '@hivemind/bus';
import {isError, subjects} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {commit} from '@hivemind/store';
import {errors} from '../errors.ts';
import {PlacementCommit} from './placement-commit.ts';
import type {ClusterView} from './view.ts';

const MAX_RACES = 16;

export function serveReplace(context: ManagerContext, view: ClusterView): Promise<Subscription> {
  return serve(
    context.bus,
    subjects.replaceContainer,
    {},
    async ({id}) => {
      for (let races = 1; ; races += 1) {
        try {
          await replace(context, view, id);
          return {};
        } catch (error) {
          if (!isError(error, 'version-mismatch') || races >= MAX_RACES) throw error;
        }
      }
    },
    {queue: 'app'},
  );
}

async function replace({store, bus, logger, now}: ManagerContext, view: ClusterView, id: string): Promise<void> {
  await view.catchUp((await store.revision()).n);
  const stored = view.containers.get(id);
  if (!stored) throw errors['container-not-found'](`There is no container ${id}.`);
  if (stored.value.removedAt !== undefined) return;
  const draft = new PlacementCommit(view);
  draft.remove(stored, new Date(now()).toISOString());
  const {transaction, nodes} = draft.finish();
  const {n} = await commit(store, transaction);
  for (const node of nodes) await emit(bus, subjects.assignmentChanged, {node}, {version: n}).catch((err: unknown) => logger.debug({err, node}, 'the wake of an assignment was lost'));
}
