/** Putting another container in the place of one: this one is told to go, and the reconciler makes what is then missing. */
import {serve, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import {commit} from '@hivemind/store';
import {errors} from '../errors.ts';
import {PlacementCommit} from './placement-commit.ts';
import {untilWon} from './races.ts';
import type {ClusterView} from './view.ts';
import {wakeNodes} from './wake-nodes.ts';

export function serveReplace(context: ManagerContext, view: ClusterView): Promise<Subscription> {
  return serve(
    context.bus,
    subjects.replaceContainer,
    {},
    async ({id}) => {
      await untilWon(() => replace(context, view, id));
      return {};
    },
    {queue: 'app'},
  );
}

async function replace(context: ManagerContext, view: ClusterView, id: string): Promise<void> {
  const {store} = context;
  await view.catchUp((await store.revision()).n);
  const stored = view.containers.get(id);
  if (!stored) throw errors['container-not-found'](`There is no container ${id}.`);
  if (stored.value.removedAt !== undefined) return;
  const draft = new PlacementCommit(view);
  draft.remove(stored, new Date(context.now()).toISOString());
  const {transaction, nodes} = draft.finish();
  const {n} = await commit(store, transaction);
  wakeNodes(context, nodes, n);
}
