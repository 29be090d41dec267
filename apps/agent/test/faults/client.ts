/** A client that asks for changes, and goes on asking until it knows what became of each. */
import {setTimeout as pause} from 'node:timers/promises';
import {App} from '@hivemind/contracts';
import type {Api} from '../api.ts';
import {type Operation, specOf, type WantedApp} from './model.ts';
import {lostChanges} from './verdict.ts';

export interface ClientOptions {
  readonly api: Api;
  readonly image: string;
  /** Whatever should never have been answered. */
  readonly onViolation: (what: string) => void;
}

/** As of the app before the change. */
type Before = WantedApp | undefined;

const AGAIN_MS = 300;
const ANSWER_MS = 5_000;

export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Resolves when it is acknowledged; rejects when `signal` aborts before. */
  async settle(operation: Operation, before: Before, signal: AbortSignal): Promise<void> {
    while (!(await this.#attempt(operation, before))) {
      signal.throwIfAborted();
      await pause(AGAIN_MS);
    }
  }

  /** @returns whether it is known to be done. What nobody answered may be done or not. */
  async #attempt(operation: Operation, before: Before): Promise<boolean> {
    try {
      switch (operation.kind) {
        case 'create':
          return await this.#create(operation.app);
        case 'delete':
          return await this.#delete(operation.name);
        default:
          return await this.#change(operation.app, before);
      }
    } catch {
      return false;
    }
  }

  async #create(app: WantedApp): Promise<boolean> {
    const {image} = this.#options;
    // A second one of the name can only be an earlier attempt of this.
    return this.#said('POST', '/apps', [201, 409], {name: app.name, spec: specOf(app, image)});
  }

  async #delete(name: string): Promise<boolean> {
    return this.#said('DELETE', `/apps/${name}`, [200, 202, 204, 404]);
  }

  /** Only upon what was read: an attempt that was long on its way cannot undo what came after it. */
  async #change(app: WantedApp, before: Before): Promise<boolean> {
    const {api, onViolation} = this.#options;
    const read = await api.call('GET', `/apps/${app.name}`, undefined, {timeoutMs: ANSWER_MS});
    if (read.status === 404) {
      onViolation(`app ${app.name} was acknowledged, and is not found`);
      return true;
    }
    if (read.status !== 200) return false;
    const found = App.parse(read.body);
    const now = {replicas: found.spec.replicas, version: Number(found.spec.env.VERSION)};
    if (lostChanges(app, now).length === 0) return true;
    if (before !== undefined) for (const lost of lostChanges(before, now)) onViolation(lost);
    return this.#said('PATCH', `/apps/${app.name}`, [200], {spec: {replicas: app.replicas, env: {VERSION: String(app.version)}}}, {'if-match': `"${found.meta.version}"`});
  }

  async #said(method: string, path: string, done: readonly number[], body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<boolean> {
    const {api, onViolation} = this.#options;
    const answer = await api.call(method, path, body, {timeoutMs: ANSWER_MS, headers});
    if (done.includes(answer.status)) return true;
    // Lost a race with its own earlier attempt, or nobody was there to do it: again.
    if (answer.status !== 412 && answer.status !== 503 && answer.status !== 409) onViolation(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return false;
  }
}
