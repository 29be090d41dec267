/** What the parts of the contract work with. */
import type {LogOptions, RegistryCredentials} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import type {Runtime, RuntimeContainer, RuntimeEvent, RuntimeSpec} from '@hivemind/runtime';
import type * as z from 'zod';
import {containerSpec, type ContainerOverrides} from '../builders.ts';

export interface RuntimeUnderTest {
  readonly runtime: Runtime;
  /** Of another cluster, on the same engine. */
  readonly stranger: Runtime;
  /** The runtime's cluster. */
  readonly cluster: string;
  /** An image on the machine that has a shell. */
  readonly image: string;
  /** Images that a registry has, and the machine has not. */
  readonly registry: {readonly open: string; readonly closed: string; readonly missing: string; readonly credentials: z.infer<typeof RegistryCredentials>};
  /** A build context as a tar, with a Dockerfile that builds from `image`. */
  readonly context: () => AsyncIterable<Uint8Array>;
  /** An archive of one image of these names, for a platform that the machine is not. */
  readonly foreign: (...names: readonly string[]) => AsyncIterable<Uint8Array>;
}

type Log = z.infer<typeof LogOptions>;
type LogLines = Runtime['logs'] extends (...args: never[]) => AsyncIterable<infer Line> ? readonly Line[] : never;

export class ContractBench {
  /** Aborted after each test. */
  over = new AbortController();
  #under: RuntimeUnderTest | undefined;
  #count = 0;

  begin(under: RuntimeUnderTest): void {
    this.#under = under;
  }

  get under(): RuntimeUnderTest {
    if (!this.#under) throw new Error('there is no runtime to test yet');
    return this.#under;
  }

  get runtime(): Runtime {
    return this.under.runtime;
  }

  /** Nothing of either cluster is left. */
  async clear(): Promise<void> {
    this.over.abort();
    this.over = new AbortController();
    for (const owner of [this.runtime, this.under.stranger]) for (const container of await owner.list()) await owner.remove(container.runtimeId);
  }

  /** A shell script as a container of its own. */
  scripted(script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): RuntimeSpec {
    const id = container.id ?? `c${++this.#count}-${this.under.cluster}`;
    return containerSpec({...container, id, template: {image: this.under.image, args: ['sh', '-c', script], ...container.template}}, spec);
  }

  async run(spec: RuntimeSpec): Promise<string> {
    const runtimeId = await this.runtime.create(spec);
    await this.runtime.start(runtimeId);
    return runtimeId;
  }

  ended(spec: RuntimeSpec): Promise<RuntimeContainer> {
    return waitFor(async () => {
      const container = await this.runtime.inspect(spec.record.id);
      return container?.state === 'exited' && container;
    }, {what: `${spec.record.id} to exit`});
  }

  async log(runtimeId: string, options: Partial<Log> = {}): Promise<LogLines> {
    const lines = [];
    for await (const line of this.runtime.logs(runtimeId, {follow: false, ...options}, this.over.signal)) lines.push(line);
    return lines;
  }

  /** `stdout` or `stderr`, and the line. */
  async texts(runtimeId: string, options: Partial<Log> = {}): Promise<readonly string[]> {
    return (await this.log(runtimeId, options)).map(({stream, line}) => `${stream} ${line}`);
  }

  /** Events from now on, as they come. */
  async heard(from: Runtime = this.runtime): Promise<readonly RuntimeEvent[]> {
    const events: RuntimeEvent[] = [];
    const {signal} = this.over;
    void (async () => {
      for await (const event of from.events(signal)) events.push(event);
    })();
    await waitFor(() => events.some(({type}) => type === 'connected'), {what: 'the events to begin'});
    return events;
  }
}
