/** `node-process.ts` on a machine, as a test talks to it. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {NetworkSpec, OverlayStatus} from '@hivemind/contracts';
import {type Machine, waitFor} from '@hivemind/testkit';
import {z} from 'zod';

const Prepared = z.object({network: z.object({address: z.string(), subnet: z.string(), gateway: z.string(), bridge: z.string(), mtu: z.number(), others: z.string()}).optional(), error: z.string().optional()});

export class NodeProgram {
  readonly machine: Machine;
  readonly subnet: string;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;

  constructor(machine: Machine, subnet: string) {
    this.machine = machine;
    this.subnet = subnet;
  }

  get peer() {
    return {node: this.machine.name, address: this.machine.address, subnet: this.subnet};
  }

  launch(): void {
    const child = this.machine.run(process.execPath, [join(import.meta.dirname, 'node-process.ts'), join(this.machine.dir, 'hivemind'), this.machine.name], {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1'}});
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

  /** Resolves when that is in force. */
  async told(backend: NetworkSpec['backend'], others: readonly NodeProgram[]): Promise<void> {
    await this.#ask({view: {spec: NetworkSpec.parse({backend}), self: backend === 'none' ? null : this.peer, peers: others.filter((other) => other !== this).map(({peer}) => peer)}});
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

  async removed(id: string): Promise<void> {
    await this.#ask({removed: id});
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
