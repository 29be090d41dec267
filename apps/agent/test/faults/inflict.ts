/** Doing it: each fault as what is done at its start, and what undoes it. What it is about to befall is there, or it waits. */
import {once} from 'node:events';
import {rmSync, statfsSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {Member as RingMember} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import type {TestCluster} from '../cluster.ts';
import type {Program} from '../program.ts';
import type {Fault} from './schedule.ts';

/** How long (ms) a busy computer may take for what is a matter of a second. */
const PATIENCE_MS = 60_000;

const halves: ReadonlySet<Fault['kind']> = new Set(['kill-agent', 'freeze-agent', 'kill-sidecar', 'freeze-sidecar']);

/**
 * Resolves when there is what it befalls. Who loses one of agent and sidecar has the other, and is known to: its machine is not
 * dead.
 */
export async function untilFit(cluster: TestCluster, fault: Fault): Promise<void> {
  if ('service' in fault) return void (await waitFor(() => programOf(cluster, fault.service).isRunning, {what: `${fault.service} to run`, deadlineMs: PATIENCE_MS}));
  if (!('node' in fault) || !halves.has(fault.kind)) return;
  const member = cluster.member(fault.node);
  await waitFor(async () => {
    const {status} = await cluster.node(member.name);
    const {status: {phase: state}} = RingMember.parse(await cluster.api.ask('GET', `/members/${member.name}`));
    // A process that only starts is in no ring yet, and a suspect is dead soon.
    if (status.phase === 'ready' && state === 'alive' && (await serves(join(member.dataDir, 'sidecar.sock')))) return true;
    throw new Error(`${state}, ${JSON.stringify(status)}`);
  }, {what: `${member.name} to be whole`, deadlineMs: PATIENCE_MS, intervalMs: 200});
}

/** Resolves when it is done, with what ends it, which resolves when that is as it was. Rejects where it cannot be done, or undone. */
export async function inflict(cluster: TestCluster, fault: Fault): Promise<() => Promise<void>> {
  const {control} = cluster;
  switch (fault.kind) {
    case 'kill-service': {
      const program = running(programOf(cluster, fault.service));
      await program.kill();
      return async () => program.launch();
    }
    case 'freeze-service': {
      const program = running(programOf(cluster, fault.service));
      program.freeze();
      return async () => program.resume();
    }
    case 'restart-bus':
      await control.nats.kill();
      return () => control.nats.start();
    case 'restart-store':
      await control.redis.kill();
      return () => control.redis.start();
    default:
      return befall(cluster, fault);
  }
}

type MachineFault = Extract<Fault, {readonly node: string}>;

async function befall(cluster: TestCluster, fault: MachineFault): Promise<() => Promise<void>> {
  const member = cluster.member(fault.node);
  const {agent, machine} = member;
  switch (fault.kind) {
    case 'kill-agent':
      await running(agent).kill();
      return async () => agent.launch();
    case 'freeze-agent':
      running(agent).freeze();
      return async () => agent.resume();
    case 'kill-sidecar': {
      const before = member.sidecarPids();
      for (const pid of before) signal(pid, 'SIGKILL');
      return async () => void (await waitFor(() => member.sidecarPids().some((pid) => !before.includes(pid)), {what: `${member.name} to have another sidecar`, deadlineMs: PATIENCE_MS}));
    }
    case 'freeze-sidecar': {
      const pids = member.sidecarPids();
      for (const pid of pids) signal(pid, 'SIGSTOP');
      return async () => {
        for (const pid of pids) signal(pid, 'SIGCONT');
      };
    }
    case 'power-off':
      await member.powerOff();
      return () => member.powerOn();
    case 'restart-engine':
      await machine.engine.kill();
      // Its containerd with it: the next engine would wait in vain for one that is left over and stuck. Shims live on.
      machine.engine.killContainerd();
      return () => machine.engine.start();
    case 'cut-off':
      member.cutOff(fault.from, fault.direction);
      return async () => member.heal();
    case 'fill-disk': {
      const ballast = join(member.dataDir, 'ballast');
      fill(ballast);
      if (statfsSync(member.dataDir).bavail > 0) throw new Error(`the disk of ${member.name} is not full`);
      return async () => rmSync(ballast, {force: true});
    }
  }
}

function programOf({control: {programs}}: TestCluster, name: string) {
  const program = programs.get(name);
  if (!program) throw new Error(`there is no service ${name}`);
  return program;
}

/** A fault that befalls nothing would be none. */
function running(program: Program): Program {
  if (!program.isRunning) throw new Error(`${program.name} ended by itself (${program.falls.join(', ')}):\n${program.log().slice(-2_000)}`);
  return program;
}

async function serves(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** To the last byte. */
function fill(path: string): void {
  for (const size of [1 << 20, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), {flag: 'a'});
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}
