/** Waiting for apps to be as asked: progress while it lasts, and when it fails, why. */
import type {ApiClient} from '../api/client.ts';
import {path} from '../api/client.ts';
import {serverEvents} from '../api/streams.ts';
import {type AppView, AppView as App, ContainerView as Container, ResourceView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {isError} from '@hivemind/contracts';

export interface Awaited {
  readonly namespace: string;
  readonly name: string;
}

export type Verdict = 'done' | 'failed' | 'waiting';

/** Where nothing wakes us, how often to look. Events wake at once. */
const LOOK_AGAIN_MS = 1000;
/** Reasons that no waiting mends. */
const hopeless = new Set(['ImageNotFound', 'ImageUnauthorized']);

/** Whether an app does what was asked. A crash may pass; a rollout that ended otherwise, or a missing image, will not. */
export function verdictOf({spec, status}: AppView): Verdict {
  const rollout = status.conditions.find(({type}) => type === 'RolledOut');
  if (rollout !== undefined && rollout.status === 'false' && ['RolledBack', 'Failed', 'Aborted'].includes(rollout.reason)) return 'failed';
  // A job runs to its end. And right after a change the server may still see the rollout of the revision before.
  if (status.phase === 'running') return spec.mode !== 'job' && status.replicas.updated >= status.replicas.desired ? 'done' : 'waiting';
  if (status.phase === 'completed' || status.phase === 'stopped') return 'done';
  if (status.phase === 'failed' && status.conditions.some(({type, reason}) => type === 'Failing' && hopeless.has(reason))) return 'failed';
  return 'waiting';
}

/** `2 of 3 ready: pulling …`: the one line shown while an app is waited for. */
export function progressText({name, status}: AppView): string {
  const {ready, desired} = status.replicas;
  const reason = status.conditions.find(({type, status: holds}) => (type === 'Failing' && holds === 'true') || ((type === 'Placed' || type === 'DependenciesMet') && holds === 'false'));
  // When it is tried again changes with every try, and is no progress.
  return `${name}: ${status.phase}, ${ready} of ${desired} ready${reason === undefined ? '' : ` (${reason.message.replace(/; next attempt at .*/, '')})`}`;
}

/**
 * @param timeoutMs for all of them together
 * @throws `failed` or `not-done`, saying why for each app
 */
export async function waitForApps(session: Session, apps: readonly Awaited[], timeoutMs: number): Promise<void> {
  const deadline = session.terminal.now() + timeoutMs;
  const waker = new Waker(session.api);
  const open = new Map(apps.map((app) => [`${app.namespace}/${app.name}`, app]));
  const progress = new Progress(session);
  const failed: string[] = [];
  try {
    while (open.size > 0) {
      const woken = waker.next(Math.min(LOOK_AGAIN_MS, Math.max(0, deadline - session.terminal.now())));
      for (const [key, {namespace, name}] of open) {
        const {data: app} = await session.api.get(path`/apps/${name}`, App, {namespace});
        progress.show(key, progressText(app));
        const verdict = verdictOf(app);
        if (verdict === 'waiting') continue;
        open.delete(key);
        if (verdict === 'failed') failed.push(await whyText(session, app));
      }
      if (open.size === 0) break;
      if (session.terminal.now() >= deadline) throw await notDone(session, [...open.values()], timeoutMs, failed);
      await woken;
    }
  } finally {
    waker.close();
    progress.end();
  }
  if (failed.length > 0) throw cliErrors.failed(`${failed.length === 1 ? 'It' : `${failed.length} apps`} failed:\n${failed.join('\n')}`);
}

/** Until no app of the list is left. @throws `not-done` */
export async function waitForGone(session: Session, apps: readonly Awaited[], timeoutMs: number): Promise<void> {
  const deadline = session.terminal.now() + timeoutMs;
  const waker = new Waker(session.api);
  const open = new Map(apps.map((app) => [`${app.namespace}/${app.name}`, app]));
  try {
    while (open.size > 0) {
      const woken = waker.next(Math.min(LOOK_AGAIN_MS, Math.max(0, deadline - session.terminal.now())));
      for (const [key, {namespace, name}] of open) if (await isGone(session, namespace, name)) open.delete(key);
      if (open.size === 0) return;
      if (session.terminal.now() >= deadline) throw cliErrors['not-done'](`${[...open.keys()].join(', ')} ${open.size === 1 ? 'was' : 'were'} not gone after ${timeoutMs / 1000} s; the deletion goes on.`);
      await woken;
    }
  } finally {
    waker.close();
  }
}

async function isGone({api}: Session, namespace: string, name: string): Promise<boolean> {
  try {
    await api.get(path`/apps/${name}`, ResourceView, {namespace});
    return false;
  } catch (error) {
    if (isError(error) && error.status === 404) return true;
    throw error;
  }
}

async function notDone(session: Session, apps: readonly Awaited[], timeoutMs: number, failed: readonly string[]): Promise<Error> {
  const reasons: string[] = [...failed];
  for (const {namespace, name} of apps) reasons.push(await whyText(session, (await session.api.get(path`/apps/${name}`, App, {namespace})).data));
  return cliErrors['not-done'](`Not done after ${timeoutMs / 1000} s:\n${reasons.join('\n')}`);
}

/** What is wrong with an app, down to the last lines of its unluckiest container. */
async function whyText({api}: Session, app: AppView): Promise<string> {
  const wrong = app.status.conditions.filter(({type, status}) => (type === 'Failing' ? status === 'true' : type !== 'Available' && status === 'false'));
  // That it is not all ready says nothing where something says why.
  const conditions = wrong.length > 0 ? wrong : app.status.conditions.filter(({status}) => status !== 'true');
  const {items} = await api.list('/containers', Container, {namespace: app.namespace, app: app.name});
  const worst = items.find(({status}) => status.lastLogs !== undefined && status.lastLogs.length > 0 && !status.ready);
  const pulling = items.find(({status}) => status.phase === 'pulling');
  return [
    `  ${app.namespace}/${app.name} is ${app.status.phase}, ${app.status.replicas.ready} of ${app.status.replicas.desired} ready`,
    ...conditions.map(({reason, message}) => `    ${reason}: ${message}`),
    ...(pulling === undefined ? [] : [`    its image is being pulled: ${pulling.status.progress ?? pulling.status.message}`]),
    ...(worst === undefined ? [] : [`    last lines of ${worst.name}:`, ...(worst.status.lastLogs ?? []).slice(-5).map((line) => `      ${line}`)]),
  ].join('\n');
}

/** On a terminal each change is told once; elsewhere too, so that a CI log shows how it went. */
class Progress {
  readonly #session: Session;
  readonly #shown = new Map<string, string>();

  constructor(session: Session) {
    this.#session = session;
  }

  show(key: string, text: string): void {
    if (this.#shown.get(key) === text) return;
    this.#shown.set(key, text);
    this.#session.output.note(`  ${text}`);
  }

  end(): void {
    this.#shown.clear();
  }
}

/** Wakes on any change of an app; without the event stream, after a while. */
class Waker {
  readonly #ended = new AbortController();
  #changed = Promise.withResolvers<void>();

  constructor(api: ApiClient) {
    void this.#listen(api);
  }

  /** Resolves at the next change, or after `ms`. Ask before looking, so that no change falls in between. */
  async next(ms: number): Promise<void> {
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, ms);
    await Promise.race([this.#changed.promise, timer.promise]);
    clearTimeout(timeout);
  }

  close(): void {
    this.#ended.abort();
  }

  async #listen(api: ApiClient): Promise<void> {
    const {signal} = this.#ended;
    try {
      const response = await api.open('GET', '/events', {query: {kind: 'App'}, signal});
      for await (const _event of serverEvents(response)) {
        const {resolve} = this.#changed;
        this.#changed = Promise.withResolvers<void>();
        resolve();
      }
    } catch {
      // The timer wakes as well; whoever looks next hears what is wrong with the connection.
    }
  }
}
