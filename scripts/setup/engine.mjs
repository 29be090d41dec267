/** The container engine: found, or started where nothing answers and no systemd would start it. */
import {spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {request} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {SetupError} from './enter.mjs';

const socketPath = '/var/run/docker.sock';
const pidFile = '/var/run/docker.pid';
const logFile = '/var/log/dockerd.log';
const deadlineMs = 60_000;

/** Returns once an engine answers at DOCKER_HOST, or on the default socket; starts one there if it must. */
export async function ensureEngine() {
  if (process.env.DOCKER_HOST) {
    if (await answers(process.env.DOCKER_HOST)) return;
    throw new SetupError(`DOCKER_HOST is ${process.env.DOCKER_HOST} and no engine answers there. Unset it to use the engine of this machine.`);
  }
  if (await answers()) return;
  if (process.getuid() !== 0) {
    throw new SetupError(`No container engine answers at ${socketPath}. Starting one takes root; if one runs, your user may have to join the group "docker".`);
  }
  const viaSystemd = existsSync('/run/systemd/system');
  process.stdout.write(`Starting the container engine${viaSystemd ? '' : ` (log: ${logFile})`} …\n`);
  const child = viaSystemd ? systemctlStart() : startDetached();
  const deadline = Date.now() + deadlineMs;
  while (!(await answers())) {
    if (Date.now() > deadline || (child && child.exitCode !== null)) throw new SetupError(`The container engine does not start.\n${lastWords(viaSystemd)}`);
    await pause(100);
  }
}

/** Whether an engine answers a ping. A TCP address with TLS is only looked at by Hivemind itself. */
function answers(host = `unix://${socketPath}`) {
  const unix = /^unix:\/\/(.*)$/.exec(host);
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)/.exec(host);
  if (!unix && !tcp) return Promise.resolve(true);
  const target = unix ? {socketPath: unix[1]} : {host: tcp[1], port: Number(tcp[2])};
  return new Promise((resolve) => {
    const ping = request({...target, path: '/_ping', timeout: 5_000}, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.once('timeout', () => ping.destroy());
    ping.once('error', () => resolve(false));
    ping.end();
  });
}

function systemctlStart() {
  const {status} = spawnSync('systemctl', ['enable', '--now', 'docker'], {stdio: 'inherit'});
  if (status !== 0) throw new SetupError('systemctl enable --now docker failed: see above.');
  return undefined;
}

/** The engine outlives this process and its terminal. */
function startDetached() {
  mountCgroups();
  removeStalePidFile();
  const log = openSync(logFile, 'a');
  const env = {...process.env, PATH: `${iptablesDir()}${process.env.PATH}:/usr/sbin:/sbin`};
  const child = spawn('dockerd', ['--pidfile', pidFile], {cwd: '/', detached: true, env, stdio: ['ignore', log, log]});
  child.once('error', () => undefined);
  child.unref();
  return child;
}

/** An init system has done this; in a bare container or chroot nobody has. */
function mountCgroups() {
  const mounted = readFileSync('/proc/self/mounts', 'utf8').split('\n').some((line) => line.split(' ')[1]?.startsWith('/sys/fs/cgroup'));
  if (!mounted) spawnSync('mount', ['-t', 'cgroup2', 'cgroup2', '/sys/fs/cgroup'], {stdio: 'inherit'});
}

/** The engine refuses to start over a pid that has come to belong to another program. */
function removeStalePidFile() {
  if (!existsSync(pidFile)) return;
  const comm = `/proc/${readFileSync(pidFile, 'utf8').trim()}/comm`;
  if (!existsSync(comm) || readFileSync(comm, 'utf8').trim() !== 'dockerd') rmSync(pidFile);
}

/**
 * Kernels come with nf_tables, with the older tables, or with both. Where Debian's default (nf_tables)
 * does not work and the older one does, only the engine is given the older one, through its PATH.
 */
function iptablesDir() {
  const works = (command) => spawnSync(command, ['-t', 'nat', '-S'], {stdio: 'ignore'}).status === 0;
  if (works('iptables')) return '';
  if (!works('/usr/sbin/iptables-legacy')) {
    throw new SetupError('iptables does not work here (neither nf_tables nor legacy), so containers could have no network. Root with NET_ADMIN and a kernel with NAT are needed.');
  }
  const dir = mkdtempSync(join(tmpdir(), 'iptables-legacy-'));
  for (const name of ['iptables', 'ip6tables', 'iptables-save', 'iptables-restore']) {
    symlinkSync(`/usr/sbin/${name.replace('tables', 'tables-legacy')}`, join(dir, name));
  }
  return `${dir}:`;
}

function lastWords(viaSystemd) {
  if (viaSystemd) return 'See: journalctl -u docker';
  return existsSync(logFile) ? `Last lines of ${logFile}:\n${readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n')}` : '';
}
