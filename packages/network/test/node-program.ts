/** `node-process.ts` on a machine, as a test talks to it. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {NetworkSpec, OverlayStatus, WireGuardKey} from '@hivemind/contracts';
import {type Machine, waitFor} from '@hivemind/testkit';
import * as z from 'zod';

const Prepared = z.object({network: z.object({address: z.string(), subnet: z.string(), gateway: z.string(), bridge: z.string(), mtu: z.number(), others: z.string()}).optional(), error: z.string().optional()});

export class NodeProgram {
  readonly machine: Machine;
  readonly subnet: string;
  readonly cluster: string;
  /** Public, as the other machines are told it; of {@link learnKey}. */
  #key: string | undefined;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;

  constructor(machine: Machine, subnet: string, cluster = 'test') {
    this.machine = machine;
    this.subnet = subnet;
    this.cluster = cluster;
  }

  get peer() {
    return {node: this.machine.name, address: this.machine.address, subnet: this.subnet, wireguardKey: this.#key};
  }

  launch(): void {
    const child = this.machine.run(process.execPath, [fileURLToPath(new URL('./node-process.ts', import.meta.url)), join(this.machine.dir, `hivemind-${this.cluster}`), this.machine.name, this.cluster], {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1'}});
    this.#child = child;
    this.#answers = createInterface({input: child.stdout!})[Symbol.asyncIterator]();
  }

  /** SIGKILL: nothing is tidied up. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async tell(backend: NetworkSpec['backend'], others: readonly NodeProgram[] = []): Promise<void> {
    await this.#ask({view: {spec: NetworkSpec.parse({backend}), self: backend === 'none' ? null : this.peer, peers: others.filter((other) => other !== this).map(({peer}) => peer)}});
  }

  /** Resolves when that is in force. */
  async told(backend: NetworkSpec['backend'], others: readonly NodeProgram[]): Promise<void> {
    await this.tell(backend, others);
    await waitFor(async () => {
      const {backend: now, problems} = await this.overlay();
      return backend === 'none' ? problems.length > 0 || now === 'none' : now === backend;
    }, {what: `back-end ${backend} to be in force`});
  }

  async overlay(): Promise<OverlayStatus> {
    return OverlayStatus.parse(await this.#ask({}));
  }

  async prepare(id: string): Promise<z.infer<typeof Prepared>> {
    return Prepared.parse(await this.#ask({prepare: id}));
  }

  /** What it tells the control plane of itself, from now on also told to others. */
  async learnKey(): Promise<string> {
    this.#key = z.object({key: WireGuardKey}).parse(await this.#ask({key: true})).key;
    return this.#key;
  }

  async removed(id: string): Promise<void> {
    await this.#ask({removed: id});
  }

  /** A container of the machine's engine, on its network over the bridge, at the address that the machine gives it. */
  async container(id: string, image: string, words: readonly string[]): Promise<string> {
    const {network, error} = await this.prepare(id);
    if (!network) throw new Error(error);
    const {docker} = this.machine.engine;
    const {address, subnet, gateway, bridge, mtu, others} = network;
    const Options = {'com.docker.network.bridge.name': bridge, 'com.docker.network.bridge.enable_ip_masquerade': 'false', 'com.docker.network.driver.mtu': String(mtu)};
    await docker.createNetwork({Name: 'hive', Driver: 'bridge', CheckDuplicate: true, IPAM: {Driver: 'default', Config: [{Subnet: subnet, Gateway: gateway, IPRange: others}]}, Options}).catch((failed: Error & {readonly statusCode?: number}) => {
      if (failed.statusCode !== 409) throw failed;
    });
    const made = await docker.createContainer({name: id, Image: image, Cmd: [...words], StopTimeout: 0, HostConfig: {NetworkMode: 'hive'}, NetworkingConfig: {EndpointsConfig: {hive: {IPAMConfig: {IPv4Address: address}}}}});
    await made.start();
    return address;
  }

  /** A virtual IP leads to a container of this machine. Resolves when the kernel does so. */
  async lead(virtualIp: string, address: string): Promise<void> {
    expect(await this.#ask({lead: {virtualIp, address}})).toEqual({});
  }

  /** A line of shell on the machine; its output. */
  async sh(line: string): Promise<string> {
    const {stdout, stderr, status} = await this.machine.exec('sh', ['-c', line]);
    return status === 0 ? stdout : `${status} ${stdout}${stderr}`;
  }

  async #ask(line: object): Promise<unknown> {
    this.#child?.stdin?.write(`${JSON.stringify(line)}\n`);
    const answer = await this.#answers?.next();
    if (answer === undefined || answer.done === true) throw new Error(`the network's program on ${this.machine.name} ended`);
    return JSON.parse(answer.value);
  }
}
