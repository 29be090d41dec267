/** A process that pulls one image as an agent does: it is killed amid it. */
import {createContainerdRuntime} from '@hivemind/container/node';
import pino from 'pino';

const [, , socketPath = '', root = '', cluster = '', image = '', host = ''] = process.argv;
const runtime = await createContainerdRuntime({socketPath, root, cluster, node: 'n1', registries: {[host]: {plainHttp: true}}, logger: pino({level: 'silent'}), now: Date.now});
for await (const step of runtime.pull(image, undefined, new AbortController().signal)) if (step.error !== undefined) throw new Error(step.error);
await runtime.close();
