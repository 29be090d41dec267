/** Debian packages: which are missing, and installing them after asking (on a terminal) or saying so. */
import {spawnSync} from 'node:child_process';
import {existsSync, rmSync, writeFileSync} from 'node:fs';
import {createInterface} from 'node:readline/promises';
import {SetupError} from './enter.mjs';

/** Debian package → the file by which its presence is known, and what it is for. */
const packages = {
  'docker.io': {anyOf: ['/usr/sbin/dockerd', '/usr/bin/dockerd', '/usr/local/bin/dockerd'], why: 'the container engine'},
  iptables: {anyOf: ['/usr/sbin/iptables', '/sbin/iptables'], why: 'container networks and published ports'},
  iproute2: {anyOf: ['/usr/sbin/ip', '/sbin/ip', '/bin/ip'], why: 'network devices'},
  nftables: {anyOf: ['/usr/sbin/nft', '/sbin/nft'], why: 'cutting machines off in tests'},
  'busybox-static': {anyOf: ['/usr/share/doc/busybox-static'], why: 'an image that needs no registry'},
  'ca-certificates': {anyOf: ['/etc/ssl/certs/ca-certificates.crt'], why: 'pulling images'},
  'redis-server': {anyOf: ['/usr/bin/redis-server', '/usr/local/bin/redis-server'], why: 'tests of the Redis store'},
  'nats-server': {anyOf: ['/usr/sbin/nats-server', '/usr/bin/nats-server', '/usr/local/bin/nats-server'], why: 'tests of the NATS bus'},
  'docker-compose': {anyOf: ['/usr/bin/docker-compose', '/usr/libexec/docker/cli-plugins/docker-compose'], why: 'the dev cluster'},
  debootstrap: {anyOf: ['/usr/sbin/debootstrap'], why: 'images where none can be pulled'},
  'bind9-dnsutils': {anyOf: ['/usr/bin/dig'], why: 'tests of names'},
  conntrack: {anyOf: ['/usr/sbin/conntrack'], why: 'tests of UDP that is led on'},
  haproxy: {anyOf: ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'], why: 'ingress'},
  'wireguard-tools': {anyOf: ['/usr/bin/wg'], why: 'tests of the encrypted network'},
  'wireguard-go': {anyOf: ['/usr/bin/wireguard-go'], why: 'tests of the encrypted network where the kernel has no WireGuard'},
  wrk: {anyOf: ['/usr/bin/wrk'], why: 'the bench of ingress'},
  iperf3: {anyOf: ['/usr/bin/iperf3'], why: 'the bench of the network'},
  containerd: {anyOf: ['/usr/bin/containerd', '/usr/local/bin/containerd'], why: 'tests of containers without Docker'},
  runc: {anyOf: ['/usr/sbin/runc', '/usr/bin/runc', '/usr/local/bin/runc'], why: 'tests of containers without Docker'},
  'docker-registry': {anyOf: ['/usr/bin/docker-registry'], why: 'tests of pulling images'},
};

export const packagesToStart = ['docker.io', 'iptables', 'busybox-static', 'ca-certificates'];
export const packagesToTest = [...packagesToStart, 'iproute2', 'nftables', 'redis-server', 'nats-server', 'docker-registry', 'bind9-dnsutils', 'containerd', 'runc', 'haproxy', 'conntrack', 'wireguard-tools', 'wireguard-go'];

/** Installs those of `names` that are missing. `yes` answers the question beforehand. */
export async function installDebianPackages(names, {yes = false} = {}) {
  const missing = names.filter((name) => !packages[name].anyOf.some(existsSync));
  if (missing.length === 0) return;
  const list = missing.map((name) => `  ${name.padEnd(16)} ${packages[name].why}`).join('\n');
  const byHand = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get')) throw new SetupError(`These are missing, by their Debian names, and this machine has no apt-get:\n${list}\nInstall what corresponds to them, then try again.`);
  if (process.getuid() !== 0) throw new SetupError(`These Debian packages are missing:\n${list}\nInstalling them takes root:\n  sudo ${byHand}`);
  process.stdout.write(`These Debian packages are missing:\n${list}\n`);
  if (process.stdin.isTTY && process.stdout.isTTY && !yes) {
    if (!(await confirm('Install them now?'))) throw new SetupError(`Nothing was installed. By hand: ${byHand}`);
  } else {
    process.stdout.write('Installing them now.\n');
  }
  withoutStartingServices(() => {
    apt(['update', '-qq']);
    apt(['install', '-y', '-qq', '--no-install-recommends', ...missing]);
  });
}

async function confirm(question) {
  const terminal = createInterface({input: process.stdin, output: process.stdout});
  const answer = (await terminal.question(`${question} [Y/n] `)).trim().toLowerCase();
  terminal.close();
  return answer === '' || answer === 'y' || answer === 'yes';
}

function apt(args) {
  const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'};
  const {status} = spawnSync('apt-get', args, {env, stdio: ['ignore', 'ignore', 'inherit']});
  if (status !== 0) throw new SetupError(`apt-get ${args.join(' ')} failed: see above.`);
}

/** Debian starts a server as it is installed. The tests' servers are not wanted as services, and the engine is started by engine.mjs. */
function withoutStartingServices(work) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return work();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', {mode: 0o755});
  try {
    return work();
  } finally {
    rmSync(policy);
  }
}
