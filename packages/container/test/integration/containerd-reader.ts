/**
 * Who reads what containers say, as a process that is killed: `agent`, as far as it reads, or `sidecar`, which does so while there is
 * none. It says `reads`, and on a line of input how it fared since the last.
 */
import {monitorEventLoopDelay} from 'node:perf_hooks';
import {createInterface} from 'node:readline';
import {pino} from 'pino';
import {LogStandby} from '../../src/node/containerd/logs/standby.ts';
import {createContainerdRuntime} from '../../src/node/index.ts';

const [role, given = ''] = process.argv.slice(2);
const options: {readonly socketPath: string; readonly root: string; readonly cgroupParent: string; readonly cluster: string} = JSON.parse(given);
const say = (what: string): void => void process.stdout.write(`${what}\n`);
const delays = monitorEventLoopDelay({resolution: 5});
if (role === 'agent') {
  const runtime = await createContainerdRuntime({...options, node: 'n1', logger: pino({level: 'silent'}), now: Date.now});
  void (async () => {
    for await (const {type} of runtime.events(new AbortController().signal)) if (type === 'connected') say('reads');
  })();
} else {
  const standby = new LogStandby({logger: {info: () => say('reads'), warn: ({err}: {err: unknown}) => say(String(err))}, setTimer: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }});
  await standby.heard(options);
}
delays.enable();
let [at, before] = [performance.now(), process.cpuUsage()];
for await (const _ of createInterface(process.stdin)) {
  const {user, system} = process.cpuUsage(before);
  // CPU in cores; the loop's delays (ms) beyond the look's own pace.
  say(JSON.stringify({cpu: (user + system) / 1000 / (performance.now() - at), p99: delays.percentile(99) / 1e6 - 5, max: delays.max / 1e6 - 5, mb: process.memoryUsage.rss() / 2 ** 20}));
  [at, before] = [performance.now(), process.cpuUsage()];
  delays.reset();
}
