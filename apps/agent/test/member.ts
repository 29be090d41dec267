/** A machine of a cluster under test: a computer with an engine and an agent, and what may befall it. */
import {execFile, execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {CutOff, Machine} from '@hivemind/testkit';
import {hivemind, type ControlPlane, type ControlPlaneOptions} from './control-plane.ts';
import {type EngineContainer, importImage, listContainers, type RuntimeName} from './engines.ts';
import {Program, programEnv} from './program.ts';

/** What a machine can be cut off from: the bus alone, the control side (gateways too), or everything, other machines included. */
export type CutOffFrom = 'bus' | 'control' | 'everything';

export interface MemberOptions {
  readonly machine: Machine;
  readonly control: Pick<ControlPlane, 'address' | 'nats' | 'cluster' | 'api'>;
  readonly token: string;
  /** Default: docker. */
  readonly runtime?: RuntimeName;
  /** Size of its agent's data dir; default: all of the disk. */
  readonly diskMb?: number;
  /** Run whenever the machine has booted, before its agent starts. */
  readonly onBoot?: (member: Member) => void;
  readonly hivemind?: ControlPlaneOptions['hivemind'];
  readonly supervised?: ControlPlaneOptions['supervised'];
}

/** For Node: what runs as its agent. */
const agentPrograms: Readonly<Record<RuntimeName, readonly string[]>> = {docker: hivemind, containerd: [fileURLToPath(new URL('./containerd-agent.ts', import.meta.url))]};

export class Member {
  readonly name: string;
  readonly machine: Machine;
  readonly agent: Program;
  /** Of the agent; it outlives a power-off. */
  readonly dataDir: string;
  readonly #control: MemberOptions['control'];
  readonly #runtime: RuntimeName;
  readonly #diskMb: number | undefined;
  readonly #onBoot: (member: Member) => void;

  constructor({machine, control, token, runtime = 'docker', diskMb, onBoot = () => undefined, hivemind: source = () => agentPrograms[runtime], supervised = false}: MemberOptions) {
    this.name = machine.name;
    this.machine = machine;
    this.#control = control;
    this.#runtime = runtime;
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

  /** For the first time. @param image that its engine has */
  async begin(image: string): Promise<void> {
    if (this.#runtime === 'containerd') await importImage(this.machine, image);
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
  containers(app?: string): Promise<readonly EngineContainer[]> {
    return listContainers[this.#runtime](this.machine, this.#control.cluster, app);
  }

  /** What a command says within a container that runs, standard error too, as any program in it would see the world. */
  within({pid, id}: EngineContainer, command: string): Promise<string> {
    if (pid === 0) throw new Error(`${id} does not run`);
    return new Promise((resolve, reject) => {
      execFile('nsenter', ['--target', String(pid), '--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd', '/bin/sh', '-c', command], {env: {PATH: '/bin'}}, (error, out, err) => {
        if (error && typeof error.code !== 'number') reject(error);
        else resolve(`${out}${err}`.trim());
      });
    });
  }
}

/** A disk of its own, in memory. It goes with the machine's directory. */
function mountDisk(dir: string, megabytes: number): void {
  mkdirSync(dir, {recursive: true});
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', dir]);
}

function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
