/** Doing it: each fault as what is done at its start, and what undoes it. */
import {rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {TestCluster} from '../cluster.ts';
import type {Fault} from './schedule.ts';

/** Resolves when it is done, with what ends it. */
export async function inflict(cluster: TestCluster, fault: Fault): Promise<() => Promise<void>> {
  const {control} = cluster;
  switch (fault.kind) {
    case 'kill-service': {
      const program = programOf(cluster, fault.service);
      await program.kill();
      return async () => program.launch();
    }
    case 'freeze-service': {
      const program = programOf(cluster, fault.service);
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
      await agent.kill();
      return async () => agent.launch();
    case 'freeze-agent':
      agent.freeze();
      return async () => agent.resume();
    case 'kill-sidecar':
      for (const pid of member.sidecarPids()) kill(pid);
      return async () => undefined;
    case 'power-off':
      await member.powerOff();
      return () => member.powerOn();
    case 'restart-engine':
      await machine.engine.kill();
      // Its containerd with it: the next engine would wait in vain for one that is left over and stuck. Shims live on.
      for (const pid of member.pidsOf((words) => /(^|\/)containerd$/.test(words[0] ?? ''))) kill(pid);
      return () => machine.engine.start();
    case 'cut-off':
      member.cutOff(fault.from, fault.direction);
      return async () => member.heal();
    case 'fill-disk': {
      const ballast = join(member.dataDir, 'ballast');
      fill(ballast);
      return async () => rmSync(ballast, {force: true});
    }
  }
}

function programOf({control: {programs}}: TestCluster, name: string) {
  const program = programs.get(name);
  if (!program) throw new Error(`there is no service ${name}`);
  return program;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
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
