/** As much of containerd's API as the fence needs: who runs, by the labels that the driver keeps with a container, and signals. */
import {constants} from 'node:os';
import {ContainerdClient, isStatus} from '@hivemind/container/containerd-client';
import type {Engine} from './engine.ts';
import type {Listed} from './guarded.ts';

/** The driver's, in containerd. */
const NAMESPACE = 'hivemind';
const EXTENSION = 'hivemind';
/** ms for an answer; then it is asked anew. */
const ANSWER_WITHIN_MS = 5_000;
const ALIVE: ReadonlySet<string> = new Set(['CREATED', 'RUNNING', 'PAUSED', 'PAUSING']);

export function connectContainerd(socketPath: string): Engine {
  const client = new ContainerdClient(socketPath, NAMESPACE);
  return {
    async running(cluster) {
      const [{tasks}, listed] = await Promise.all([client.call('listTasks', {}, {deadlineMs: ANSWER_WITHIN_MS}), containersOf(client, cluster)]);
      const alive = new Set(tasks.filter(({status}) => ALIVE.has(status)).map(({containerId, id}) => (containerId === '' ? id : containerId)));
      return listed.filter(({id}) => alive.has(id));
    },
    async signal(id, signal) {
      const number: unknown = Reflect.get(constants.signals, signal);
      try {
        await client.call('kill', {containerId: id, signal: typeof number === 'number' ? number : constants.signals.SIGTERM}, {deadlineMs: ANSWER_WITHIN_MS});
        // A frozen one ends when it goes on.
        if (signal === 'SIGKILL') await client.call('resume', {containerId: id}, {deadlineMs: ANSWER_WITHIN_MS}).catch(() => undefined);
      } catch (error) {
        // Removed, or does not run.
        if (!isStatus(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) throw error;
      }
    },
  };
}

async function containersOf(client: ContainerdClient, cluster: string): Promise<readonly Listed[]> {
  const listed: Listed[] = [];
  const filters = [`labels."hivemind.cluster"==${JSON.stringify(cluster)}`];
  const enough = AbortSignal.timeout(ANSWER_WITHIN_MS);
  for await (const {container} of client.stream('listContainers', {filters}, enough)) {
    const labels = labelsOf(container?.extensions[EXTENSION]?.value);
    if (container && labels) listed.push({id: container.id, labels});
  }
  enough.throwIfAborted();
  return listed;
}

/** Longer than labels of containerd's may be, so that they are elsewhere. */
function labelsOf(value: Uint8Array | undefined): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return undefined;
  const {labels} = JSON.parse(Buffer.from(value).toString('utf8')) as {readonly labels?: unknown};
  if (typeof labels !== 'object' || labels === null) return undefined;
  return Object.fromEntries(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
