/** Names as a tenant of the process. Its thread is there only where names are to be answered: started when that is known first. */
import {Worker} from 'node:worker_threads';
import type {NamesThreadSettings, FromNamesThread, NamesPart, NamesPoint, NamesVitals, ToNamesThread} from './thread.ts';
import {commonErrors} from '@hivemind/contracts/define-errors';
import {keptListen} from '@hivemind/discovery/names/kept';
import type {Logger} from 'pino';
import {sidecarErrors} from '../errors.ts';
import {keepTenants, type Tenant, type Tenants, type TenantsOptions} from '../tenants.ts';

export interface NamesOptions extends TenantsOptions {
  /** What the agent keeps of names; undefined: nothing is kept. */
  readonly file: string | undefined;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** MiB. Ten thousand services with three containers each take a third of it. */
const HEAP = {maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8, stackSizeMb: 1};

interface Pending {
  readonly settle: (message: FromNamesThread) => void;
  readonly reject: (error: Error) => void;
}

export class Names {
  readonly #options: NamesOptions;
  readonly #pending = new Map<number, Pending>();
  #tenants: Tenants | undefined;
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Goes on where the process before this one was. */
  async start(): Promise<void> {
    const {file} = this.#options;
    if (file !== undefined && (await keptListen(file)).length > 0) this.#launch();
  }

  /** From the agent. Where names are not to be answered nothing is kept of it. @throws `tenant-down` 503, `invalid-input` 422 */
  async apply(part: NamesPart): Promise<NamesPoint> {
    if (part.listen.length === 0) {
      await this.stop();
      return {epoch: part.epoch, n: part.n};
    }
    this.#launch();
    const answer = await this.#ask({id: ++this.#lastId, kind: 'apply', part});
    return answer.kind === 'point' ? answer.point : {epoch: '', n: 0};
  }

  /** undefined: names are not answered here, or their thread is being started again. */
  async vitals(): Promise<NamesVitals | undefined> {
    if (!this.#worker) return undefined;
    const answer = await this.#ask({id: ++this.#lastId, kind: 'vitals'}).catch(() => undefined);
    return answer?.kind === 'vitals' ? answer.vitals : undefined;
  }

  status(): ReturnType<Tenants['status']> {
    return this.#tenants?.status() ?? {};
  }

  async stop(): Promise<void> {
    const tenants = this.#tenants;
    this.#tenants = undefined;
    await tenants?.stop();
  }

  #launch(): void {
    this.#tenants ??= keepTenants([this.#tenant()], this.#options);
  }

  #tenant(): Tenant {
    const {file, logger} = this.#options;
    let own: Worker | undefined;
    return {
      name: 'names',
      launch: () => {
        const worker = new Worker(new URL('./dns.worker.ts', import.meta.url), {name: 'names', workerData: {file} satisfies NamesThreadSettings, resourceLimits: HEAP});
        worker.on('message', (message: FromNamesThread) => {
          if (message.kind === 'log') return logger[message.level](message.fields, message.text);
          this.#pending.get(message.id)?.settle(message);
          this.#pending.delete(message.id);
        });
        return (own = this.#worker = worker);
      },
      onEnd: () => {
        // One that was told to end may end after the next one began.
        if (this.#worker !== own) return;
        this.#worker = undefined;
        for (const {reject} of this.#pending.values()) reject(down());
        this.#pending.clear();
      },
    };
  }

  async #ask(message: ToNamesThread): Promise<FromNamesThread> {
    const worker = this.#worker;
    if (!worker) throw down();
    const answer = await new Promise<FromNamesThread>((settle, reject) => {
      this.#pending.set(message.id, {settle, reject});
      worker.postMessage(message);
    });
    if (answer.kind === 'refusal') throw commonErrors['invalid-input'](`These are no names: ${answer.message}`);
    return answer;
  }
}

const down = (): Error => sidecarErrors['tenant-down']('The thread of names is being started again: try once more in a moment.');
