/** A process that starts one container as an agent does, and waits: it is killed somewhere on the way. */
import {createContainerdRuntime} from '@hivemind/container/node';
import {containerSpec} from '@hivemind/container/testing';
import pino from 'pino';

const [, , socketPath = '', root = '', cgroupParent = '', cluster = '', image = '', id = ''] = process.argv;
const runtime = await createContainerdRuntime({socketPath, root, cgroupParent, cluster, node: 'n1', logger: pino({level: 'silent'}), now: Date.now});
const spec = containerSpec({id, ports: [{container: 80, protocol: 'tcp', host: 0}], template: {image, args: ['sleep', '1000']}}, {networks: [{name: `net-${cluster}`, aliases: [id]}]});
await runtime.start(await runtime.create(spec));
process.stdout.write('started\n');
setInterval(() => undefined, 1000);
