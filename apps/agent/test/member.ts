/** A machine of a cluster under test: a computer with an engine and an agent, and what may befall it. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {engineLabels} from '@hivemind/contracts';
import type {CutOff, Machine} from '@hivemind/testkit';
import {hivemind, type ControlPlane, type ControlPlaneOptions} from './control-plane.ts';
import {Program, programEnv} from './program.ts';

/** What a machine can be cut off from: the bus alone, the control side (gateways too), or everything, other machines included. */
export type CutOffFrom = 'bus' | 'control' | 'everything';

/** A container as an engine has it. */
export interface EngineContainer {
  /** Ours. */
  readonly id: string;
  readonly app: string;
  readonly node: string;
  readonly runtimeId: string;
  readonly state: string;
  readonly running: boolean;
  /** 0 where it does not run. */
  readonly pid: number;
  readonly startedAt: string;
  /** `NAME=value`. */
  readonly env: readonly string[];
}

export interface MemberOptions {
  readonly machine: Machine;
  readonly control: Pick<ControlPlane, 'address' | 'nats' | 'cluster' | 'api'>;
  readonly token: string;
  /** Size of its agent's data dir; default: all of the disk. */
  readonly diskMb?: number;
  /** Run whenever the machine has booted, before its agent starts. */
  readonly onBoot?: (member: Member) => void;
  readonly hivemind?: ControlPlaneOptions['hivemind'];
  readonly supervised?: ControlPlaneOptions['supervised'];
}

export class Member {
  readonly name: string;
  readonly machine: Machine;
  readonly agent: Program;
  /** Of the agent; it outlives a power-off. */
  readonly dataDir: string;
  readonly #control: MemberOptions['control'];
  readonly #diskMb: number | undefined;
  readonly #onBoot: (member: Member) => void;

  constructor({machine, control, token, diskMb, onBoot = () => undefined, hivemind: source = () => hivemind, supervised = false}: MemberOptions) {
    this.name = machine.name;
    this.machine = machine;
    this.#control = control;
    this.#onBoot = onBoot;
    this.dataDir = join(machine.dir, 'hivemind');
    this.#diskMb = diskMb;
    const words = ['agent', '--join', control.api.url, '--token', token, '--name', machine.name, '--advertise', machine.address, '--data-dir', this.dataDir, '--docker-host', machine.dockerHost];
    this.agent = new Program({
      name: `agent ${machine.name}`,
      log: join(machine.dir, 'agent.log'),
      ready: /\S/,
      supervised,
      spawn: () => machine.run(process.execPath, [...source(machine.name), ...words], {env: programEnv, stdio: ['ignore', 'pipe', 'pipe']}),
    });
  }

  /** For the first time. */
  async begin(): Promise<void> {
    if (this.#diskMb === undefined) return this.#booted();
    // A machine sees the disks that are there when it boots.
    mountDisk(this.dataDir, this.#diskMb);
    await this.powerOff();
    await this.powerOn();
  }

  /** Everything on it ends at once. */
  async powerOff(): Promise<void> {
    await this.machine.powerOff();
    await this.agent.ended();
  }

  /** The same disk, the engine and the agent again, as an init would start them. */
  async powerOn(): Promise<void> {
    if (this.machine.isOn) return this.agent.launch();
    await this.machine.powerOn();
    this.#booted();
  }

  #booted(): void {
    this.#onBoot(this);
    this.agent.launch();
  }

  /** Packets are lost without a word until `heal`. */
  cutOff(from: CutOffFrom, direction: CutOff['direction'] = 'both'): void {
    const {address, nats} = this.#control;
    if (from === 'everything') this.machine.cutOff({direction});
    else this.machine.cutOff({direction, from: from === 'bus' ? {address, port: nats.port} : {address}});
  }

  heal(): void {
    this.machine.heal();
  }

  /** The machine's sidecars: they outlive the agent that started them. */
  sidecarPids(): readonly number[] {
    return this.pidsOf((words) => words.some((word) => word === 'membership' || word.endsWith('sidecar/src/main.ts')));
  }

  /** Processes on the machine, by their command line. */
  pidsOf(matches: (words: readonly string[]) => boolean): readonly number[] {
    return this.machine.pids().filter((pid) => matches(commandLine(pid)));
  }

  /** Those of the cluster, whatever their state. */
  async containers(app?: string): Promise<readonly EngineContainer[]> {
    const {docker} = this.machine.engine;
    const label = [`${engineLabels.cluster}=${this.#control.cluster}`, ...(app === undefined ? [] : [`${engineLabels.app}=${app}`])];
    const listed = await docker.listContainers({all: true, filters: {label}});
    const inspected = await Promise.all(listed.map(({Id}) => docker.getContainer(Id).inspect().catch(missing)));
    return inspected.flatMap((found) => (found === undefined ? [] : [found])).map(({Id, State, Config: {Labels, Env}}) => ({
      id: Labels[engineLabels.container] ?? '', app: Labels[engineLabels.app] ?? '', node: this.name,
      runtimeId: Id, state: State.Status, running: State.Running, pid: State.Pid, startedAt: State.StartedAt, env: Env,
    }));
  }
}

/** A disk of its own, in memory. It goes with the machine's directory. */
function mountDisk(dir: string, megabytes: number): void {
  mkdirSync(dir, {recursive: true});
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', dir]);
}

/** It went between the list and the look. */
function missing(error: Error & {readonly statusCode?: number}): undefined {
  if (error.statusCode === 404) return undefined;
  throw error;
}

function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
