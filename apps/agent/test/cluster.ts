/**
 * A whole cluster for tests: machines with an engine and an agent each, and the control side on real Redis and NATS. All of
 * it can be killed, cut off, and brought back.
 */
import {App, Container, Node, Overlay, type AppSpecInput} from '@hivemind/contracts';
import {machines, waitFor, type EngineOptions, type Machines} from '@hivemind/testkit';
import * as z from 'zod';
import type {Api} from './api.ts';
import {startControlPlane, type ControlPlane, type ControlPlaneOptions} from './control-plane.ts';
import {type EngineContainer, type RuntimeName, runtimeUnderTest} from './engines.ts';
import {Member, type MemberOptions} from './member.ts';

export interface ClusterOptions extends Pick<ControlPlaneOptions, 'services' | 'hivemind' | 'supervised'> {
  /** Default 3. */
  readonly machines?: number;
  readonly engines?: EngineOptions;
  /** Default: HIVEMIND_TEST_RUNTIME, else docker. */
  readonly runtime?: RuntimeName;
  /** Size of each agent's data dir, where that is to be filled; default: all of the disk. */
  readonly diskMb?: number;
  /** Run whenever a machine has booted, before its agent starts. */
  readonly onBoot?: MemberOptions['onBoot'];
}

const Items = <S extends z.ZodType>(item: S) => z.object({items: z.array(item)});
const Token = z.object({token: z.string()});

export async function startCluster({machines: count = 3, services = 'together', engines = {}, runtime = runtimeUnderTest(), ...shared}: ClusterOptions = {}): Promise<TestCluster> {
  const lan = await machines(count, {engines});
  let control: ControlPlane | undefined;
  try {
    const loaded = lan.loadImage();
    loaded.catch(() => undefined);
    control = await startControlPlane({...shared, address: lan.address, services});
    const {token} = Token.parse(await control.api.ask('POST', '/nodes/join-tokens', {uses: count}));
    const image = await loaded;
    const cluster = new TestCluster(lan, control, {image, token, runtime, ...shared});
    await Promise.all(cluster.members.map((member) => member.begin(image)));
    await cluster.untilReady(cluster.members);
    return cluster;
  } catch (error) {
    await lan.stop();
    await control?.stop();
    throw error;
  }
}

export class TestCluster implements AsyncDisposable {
  readonly control: ControlPlane;
  readonly members: readonly Member[];
  /** `hivemind-test/busybox:1`, on each engine. */
  readonly image: string;
  readonly runtime: RuntimeName;
  readonly #machines: Machines;

  constructor(lan: Machines, control: ControlPlane, {image, ...options}: {readonly image: string; readonly runtime: RuntimeName} & Pick<MemberOptions, 'token' | 'diskMb' | 'onBoot' | 'hivemind' | 'supervised'>) {
    this.#machines = lan;
    this.control = control;
    this.image = image;
    this.runtime = options.runtime;
    this.members = lan.hosts.map((machine) => new Member({machine, control, ...options}));
  }

  get api(): Api {
    return this.control.api;
  }

  /** `m1`, `m2`, … */
  member(name: string): Member {
    const found = this.members.find((member) => member.name === name);
    if (!found) throw new Error(`there is no machine ${name}`);
    return found;
  }

  /** What sleeps until it is told to go, and goes at once. */
  sleeper(spec: Partial<AppSpecInput> = {}): AppSpecInput {
    return {image: this.image, command: ['sleep', '100000'], stop: {signal: 'SIGKILL', grace: '1s'}, pull: {policy: 'never'}, ...spec};
  }

  async deploy(name: string, spec: AppSpecInput): Promise<void> {
    await this.api.ask('POST', '/apps', {name, spec});
  }

  async scale(name: string, replicas: number): Promise<void> {
    await this.api.ask('PATCH', `/apps/${name}`, {spec: {replicas}});
  }

  async remove(name: string): Promise<void> {
    await this.api.ask('DELETE', `/apps/${name}`);
  }

  async app(name: string): Promise<App> {
    return App.parse(await this.api.ask('GET', `/apps/${name}`));
  }

  async node(name: string): Promise<Node> {
    return Node.parse(await this.api.ask('GET', `/nodes/${name}`));
  }

  /** As the control plane has them. */
  async records(app: string): Promise<readonly Container[]> {
    return Items(Container).parse(await this.api.ask('GET', `/containers?app=${app}&limit=1000`)).items;
  }

  /** As the engines of the machines that are on have them. */
  async containers(app?: string): Promise<readonly EngineContainer[]> {
    const on = this.members.filter(({machine}) => machine.isOn && machine.engine.isRunning);
    return (await Promise.all(on.map((member) => member.containers(app)))).flat().toSorted((a, b) => a.id.localeCompare(b.id));
  }

  async running(app?: string): Promise<readonly EngineContainer[]> {
    return (await this.containers(app)).filter(({running}) => running);
  }

  /** What a command says within a container, by our id. */
  async within(id: string, command: string): Promise<string> {
    const found = (await this.running()).find((container) => container.id === id);
    if (!found) throw new Error(`${id} does not run`);
    return this.member(found.node).within(found, command);
  }

  /** What its container reads from port 80 of an address or name: the last word of `/name`; empty where nobody answers. */
  async reads(id: string, host: string): Promise<string> {
    return (await this.within(id, `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${host} 80`)).split(/\s+/).at(-1) ?? '';
  }

  /** Gives it a network across machines, and waits until every machine has it. */
  async connect(backend: 'vxlan' | 'auto' | 'wireguard' = 'vxlan'): Promise<void> {
    await this.api.ask('PATCH', '/networks/cluster', {spec: {backend}});
    await waitFor(async () => {
      const overlay = Overlay.parse(await this.api.ask('GET', '/networks/overlay'));
      if (overlay.items.filter(({backend: given}) => given === backend).length === this.members.length) return true;
      throw new Error(JSON.stringify(overlay));
    }, {what: 'every machine to have a network', deadlineMs: 60_000});
  }

  /** As many ready replicas, as the control plane says. */
  untilRunning(name: string, replicas: number, deadlineMs = 30_000): Promise<unknown> {
    return waitFor(async () => {
      const {status} = await this.app(name);
      if (status.phase === 'running' && status.replicas.ready === replicas && status.replicas.running === replicas) return true;
      throw new Error(JSON.stringify(status));
    }, {what: `${replicas} ready replicas of ${name}`, deadlineMs, intervalMs: 50});
  }

  /** The engines that are there run as many, and have no other. */
  untilContainers(app: string, count: number, deadlineMs = 30_000): Promise<readonly EngineContainer[]> {
    return waitFor(async () => {
      const found = await this.containers(app);
      if (found.length === count && found.every(({running}) => running)) return found;
      throw new Error(JSON.stringify(found.map(({id, node, state}) => `${id} on ${node} ${state}`)));
    }, {what: `${count} containers of ${app}, all running`, deadlineMs, intervalMs: 50});
  }

  untilNode(name: string, phase: Node['status']['phase'], deadlineMs = 30_000): Promise<unknown> {
    return waitFor(async () => {
      const {status} = await this.node(name);
      if (status.phase === phase && (phase !== 'ready' || status.runtime.available)) return true;
      throw new Error(JSON.stringify(status));
    }, {what: `${name} to be ${phase}`, deadlineMs, intervalMs: 50});
  }

  async untilReady(members: readonly Member[], deadlineMs = 60_000): Promise<void> {
    await Promise.all(members.map(({name, agent}) => this.untilNode(name, 'ready', deadlineMs).catch((error: unknown) => {
      throw new Error(`${agent.log().split('\n').slice(-20).join('\n')}\n${String(error)}`, {cause: error});
    })));
  }

  /** The control side is gone at once, and to the last process: programs, bus and store. */
  async loseControl(): Promise<void> {
    await Promise.all([this.control.kill(), this.control.nats.kill(), this.control.redis.kill()]);
  }

  async regainControl(): Promise<void> {
    await Promise.all([this.control.nats.start(), this.control.redis.start()]);
    await this.control.start();
  }

  /** Everything that tests may have broken is whole again: machines on, cables in, programs running. */
  async mend(): Promise<void> {
    for (const member of this.members) {
      member.heal();
      await member.powerOn();
      await member.machine.engine.start();
      member.agent.resume();
    }
    const {nats, redis, programs} = this.control;
    for (const server of [nats, redis]) server.resume();
    for (const program of programs.values()) program.resume();
    await this.control.start();
  }

  async stop(): Promise<void> {
    // Agents and engines end with their machines.
    await this.#machines.stop();
    await this.control.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
