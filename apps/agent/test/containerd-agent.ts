/** The command `hivemind agent` on a machine under test, its containers in the machine's containerd, and all that these are below the machine. */
import {readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {parseArgs} from 'node:util';
import {startJoinedAgent} from '@hivemind/agent';
import {pino} from 'pino';

const {values} = parseArgs({
  args: process.argv.slice(3),
  options: {join: {type: 'string'}, token: {type: 'string'}, name: {type: 'string'}, advertise: {type: 'string'}, 'data-dir': {type: 'string'}, 'docker-host': {type: 'string'}},
});
const {join: gateway = '', token = '', name = '', advertise: address = '', 'data-dir': dataDir = ''} = values;
const [, group = ''] = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
const agent = await startJoinedAgent({
  gateway, token, name, address, dataDir, logger: pino({level: process.env.LOG ?? 'info'}),
  runtime: 'containerd',
  containerdSocket: '/run/docker/containerd/containerd.sock',
  // Beside its data dir, which may be a disk that is filled.
  containerd: {root: join(dirname(dataDir), 'containerd'), cgroupParent: `${dirname(group)}/containers`},
});
process.stdout.write(`This machine is node ${agent.name}\n`);
process.once('SIGTERM', () => void agent.stop().then(() => process.exit(0)));
