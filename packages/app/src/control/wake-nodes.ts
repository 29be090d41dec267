/** Tells nodes that their assignment moved. */
import {emit} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';

/** Only a wake: a node that misses it asks by itself, so a failure is not one of whoever moved it. */
export function wakeNodes({bus, logger}: Pick<ManagerContext, 'bus' | 'logger'>, nodes: readonly string[], version: number): void {
  for (const node of nodes) {
    emit(bus, subjects.assignmentChanged, {node}, {version}).catch((err: unknown) => logger.debug({err, node}, 'the wake of an assignment was lost'));
  }
}
