/** What the routes of this manager share. */
import {HivemindError, isError, type ContainerRecord} from '@hivemind/contracts';
import type {HttpServer, ManagerContext} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import * as z from 'zod';
import {containerErrors} from '../../errors.ts';
import type {Tables} from '../tables.ts';

export interface RouteContext {
  readonly app: HttpServer;
  readonly context: ManagerContext;
  readonly tables: Tables;
}

export const tags = ['container'];
export const ContainerParams = z.object({id: z.string()});

/** Ids are unique in the cluster; a namespace that is asked for has to be right all the same. @throws `container-not-found` */
export function findContainer({tables}: Pick<RouteContext, 'tables'>, id: string, namespace: string | undefined): Stored<ContainerRecord> {
  const found = tables.containers.get(id);
  if (found && (namespace === undefined || namespace === found.value.namespace)) return found;
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
  throw containerErrors['container-not-found'](`There is no container ${id}${where}: GET /containers lists what there is.`);
}

/** Asks a node, and says so in words where it is not connected. @throws `node-not-connected` 503; what the node answers */
export async function asking<T>(node: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isError(error, 'no-responders') && !isError(error, 'timeout')) throw error;
    throw containerErrors['node-not-connected'](`Node ${node} does not answer: its containers run on, but cannot be asked. GET /nodes/${node} says since when.`, {cause: error});
  }
}

/** The error as one line of a stream whose status is already sent. What is not meant for people stays in the log. */
export function failureLine(error: unknown): {readonly status: 'failed'; readonly error: string; readonly code: string} {
  return error instanceof HivemindError
    ? {status: 'failed', error: error.message, code: error.code}
    : {status: 'failed', error: 'Something broke here. The log has the cause.', code: 'internal'};
}
