import {spawn, type ChildProcess, type SpawnOptions} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {waitFor} from '../wait.ts';
import {freezeGroup, groupPids, isEmpty, isFrozen, joinGroup, killGroup, makeGroup, removeGroup, throttleGroup} from './cgroup.ts';
import {type Network} from './claims.ts';
import {MachineEngine, type EngineOptions} from './engine.ts';
import {dropNamespace} from './kernel.ts';
import {type Endpoint, type Switch} from './switch.ts';

export interface RunOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'stdio'> {
  /** What it gets when the test process dies; default KILL. */
  deathSignal?: 'KILL' | 'TERM';
}

export interface CutOff {
  /** Other machines, or addresses (with a port: only that); everything when absent. */
  from?: Machine | Endpoint | readonly (Machine | Endpoint)[];
  /** Seen from this machine: what it gets, what it sends; default both. */
  direction?: 'in' | 'out' | 'both';
}

export interface Slowness {
  /** Bandwidth to and from the machine; what is more than 300 ms late is lost. */
  kbitPerSecond?: number;
  /** Share of the packets that are lost each way, from 0 to 1. */
  loss?: number;
  /** Processors for all that runs on it, such as 0.1. */
  cpus?: number;
}

export interface Outcome {
  /** Exit status; null after a signal. */
  status: number | null;
  stdout: string;
  stderr: string;
}

/**
 * A computer to the processes on it: addresses, firewall, host name and `/run` are its own, and no
 * default route leads out. Files elsewhere and process ids are shared with the test.
 */
export class Machine {
  /** `m1`, `m2`, ...: its host name. */
  readonly name: string;
  /** Reachable from the test and from the other machines. */
  readonly address: string;
  /** Outlives a power-off, as a disk would. */
  readonly dir: string;
  readonly engine: MachineEngine;
  readonly #number: number;
  readonly #namespace: string;
  readonly #group: string;
  readonly #switch: Switch;
  /** Holds the namespaces while the machine is on. */
  #init: ChildProcess | undefined;
  #restartEngine = false;

  constructor(network: Network, lan: Switch, number: number, dir: string, engine: EngineOptions) {
    this.name = `m${number}`;
    // From .11 on: .1 is the test's.
    this.#number = 10 + number;
    this.address = lan.addressOf(this.#number);
    this.dir = join(dir, this.name);
    this.#namespace = `${network.name}.${this.name}`;
    this.#group = `${network.name}/${this.name}`;
    this.#switch = lan;
    this.engine = new MachineEngine({dir: this.dir, runDir: this.runDir, group: this.#group, run: this.run.bind(this)}, engine);
  }

  /** Its `/run`, as seen from the test: sockets there can be connected to. Emptied by a power-off. */
  get runDir(): string {
    return join(this.dir, 'run');
  }

  /** DOCKER_HOST of its engine, from in- and outside the machine. */
  get dockerHost(): string {
    return this.engine.url;
  }

  get isOn(): boolean {
    return this.#init !== undefined;
  }

  /** Starts a program on the machine. The child is the program itself: its pid and signals are direct. */
  run(command: string, args: readonly string[] = [], {cwd = this.dir, deathSignal = 'KILL', ...options}: RunOptions = {}): ChildProcess {
    const enter = `exec setpriv --pdeathsig ${deathSignal} nsenter --target ${this.#running().pid} --mount --uts --net`;
    // nsenter leaves the working directory behind.
    const words = ['-c', `${joinGroup(this.#group)} && ${enter} -- sh -c 'cd "$0" && exec "$@"' "$0" "$@"`, `${cwd}`, command, ...args];
    return spawn('sh', words, options);
  }

  /** Runs a program on the machine to its end. */
  async exec(command: string, args: readonly string[] = [], options: Omit<RunOptions, 'stdio'> = {}): Promise<Outcome> {
    const child = this.run(command, args, {...options, stdio: ['ignore', 'pipe', 'pipe']});
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
    return {status: child.exitCode, stdout, stderr};
  }

  /** Ids of all processes on it: programs, engine, shims and what runs in containers. */
  pids(): number[] {
    return groupPids(this.#group);
  }

  /** Boots it, and its engine if that ran when the power went. Its network starts from nothing. */
  async powerOn(): Promise<void> {
    if (this.isOn) return;
    this.#switch.plugIn(this.name, this.#number, this.#namespace);
    rmSync(this.runDir, {recursive: true, force: true});
    mkdirSync(this.runDir, {recursive: true});
    makeGroup(this.#group);
    const boot = 'mount --bind "$0" /run && echo "$1" > /proc/sys/kernel/hostname && echo booted && exec sleep infinity';
    const enter = `exec setpriv --pdeathsig KILL nsenter --net=/run/netns/${this.#namespace} unshare --mount --uts --propagation slave`;
    const init = spawn('sh', ['-c', `${joinGroup(this.#group)} && ${enter} sh -c '${boot}' "$0" "$1"`, this.runDir, this.name], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const errors = text(init.stderr);
    await Promise.race([once(init.stdout, 'data'), errors.then((why) => Promise.reject(new Error(`${this.name} does not boot: ${why}`)))]);
    // A test that forgot to stop its machines may still end.
    init.unref();
    init.stdout.destroy();
    init.stderr.destroy();
    this.#init = init;
    if (this.#restartEngine) await this.engine.start();
  }

  /** Everything on it is killed at once, and its cable is dead. */
  async powerOff(): Promise<void> {
    if (!this.isOn) return;
    this.#restartEngine = this.engine.isRunning;
    this.#init = undefined;
    // First the cable: no dying process says goodbye.
    this.#switch.unplug(this.name);
    killGroup(this.#group);
    await waitFor(() => isEmpty(this.#group), {what: `everything on ${this.name} to be dead`});
    // Else a boot that follows at once takes it for running.
    await this.engine.ended();
    removeGroup(this.#group);
    dropNamespace(this.#namespace);
  }

  /** Nothing on it runs, containers included, while time goes on; packets are taken and not answered. */
  async pause(): Promise<void> {
    this.#running();
    freezeGroup(this.#group, true);
    await waitFor(() => isFrozen(this.#group), {what: `${this.name} to stand still`});
  }

  async resume(): Promise<void> {
    this.#running();
    freezeGroup(this.#group, false);
    await waitFor(() => !isFrozen(this.#group), {what: `${this.name} to go on`});
  }

  /** Loses packets without a word, on top of what was cut off before, until `heal`. */
  cutOff({from, direction = 'both'}: CutOff = {}): void {
    const peers = from === undefined ? undefined : [from].flat().map((peer) => (peer instanceof Machine ? peer.name : peer));
    this.#switch.addFault(this.name, {...(peers && {peers}), direction, lost: 1000});
  }

  /** Makes it slow until `heal`; a power-off ends all of it but `loss`. */
  slow({kbitPerSecond, loss, cpus}: Slowness): void {
    this.#running();
    if (loss !== undefined) this.#switch.addFault(this.name, {direction: 'both', lost: Math.round(loss * 1000)});
    if (kbitPerSecond !== undefined) this.#switch.limitRate(this.name, this.#namespace, kbitPerSecond);
    if (cpus !== undefined) throttleGroup(this.#group, cpus);
  }

  /** Ends whatever `cutOff` and `slow` did. */
  heal(): void {
    this.#switch.clearFaults(this.name);
    if (!this.isOn) return;
    this.#switch.limitRate(this.name, this.#namespace, undefined);
    throttleGroup(this.#group, undefined);
  }

  #running(): ChildProcess {
    if (!this.#init) throw new Error(`${this.name} is powered off`);
    return this.#init;
  }
}
