/**
 * The main thread's half: the member that lives on the thread of membership. It survives that thread: while it is being
 * started again questions are refused with `tenant-down` (503), and afterwards listeners are told the whole anew.
 */
import type {Address, Announcement, MemberEvent, MemberInfo} from '@hivemind/membership/model';
import {fromThrown, sidecarErrors} from '../errors.ts';
import type {Port} from './serve-member.ts';
import type {FromThread, Question, Questions, ToThread} from './thread.ts';

export interface MemberListener {
  /** What there is now: first of all, and again after changes may have been missed. */
  whole(members: readonly MemberInfo[]): void;
  changed(event: MemberEvent): void;
}

interface Pending {
  readonly settle: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class RemoteMember {
  readonly name: string;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<MemberListener>();
  readonly #announcementListeners = new Set<(announcement: Announcement) => void>();
  #port: Pick<Port<ToThread, FromThread>, 'postMessage'> | undefined;
  #address: Address | undefined;
  #lastId = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Where it listens; undefined before it first does. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** Answers where it listens, or rejects with why it cannot. `failed` is told by the thread that could not start. */
  attach(port: Port<ToThread, FromThread>, onLog: (message: FromThread & {kind: 'log'}) => void): Promise<Address> {
    const {promise, resolve, reject} = Promise.withResolvers<Address>();
    port.on('message', (message) => {
      if (message.kind === 'log') onLog(message);
      else if (message.kind === 'failed') reject(fromThrown(message.error));
      else if (message.kind === 'ready') {
        this.#address = message.address;
        this.#port = port;
        for (const listener of this.#listeners) this.#tellWhole(listener);
        resolve(message.address);
      } else this.#take(message);
    });
    return promise;
  }

  /** Its thread has ended. */
  detach(): void {
    this.#port = undefined;
    for (const {reject} of this.#pending.values()) reject(down());
    this.#pending.clear();
  }

  ask<Q extends Question>(question: Q, ...[ask]: Questions[Q]['ask'] extends undefined ? [] : [ask: Questions[Q]['ask']]): Promise<Questions[Q]['answer']> {
    return new Promise((resolve, reject) => this.#send(question, ask, {settle: (value) => resolve(value as Questions[Q]['answer']), reject}));
  }

  /** Answers how to stop. Nothing is told before the first whole. */
  listen(listener: MemberListener): () => void {
    let stopped = false;
    const own: MemberListener = {
      whole: (members) => void (stopped || listener.whole(members)),
      changed: (event) => listener.changed(event),
    };
    this.#tellWhole(own, () => void (stopped || this.#listeners.add(own)));
    return () => {
      stopped = true;
      this.#listeners.delete(own);
    };
  }

  onAnnouncement(listener: (announcement: Announcement) => void): () => void {
    this.#announcementListeners.add(listener);
    return () => this.#announcementListeners.delete(listener);
  }

  /** Told within the message that brings the answer, so that the events that follow find the listener there. */
  #tellWhole(listener: MemberListener, before: () => void = () => undefined): void {
    const settle = (value: unknown): void => {
      before();
      listener.whole(value as readonly MemberInfo[]);
    };
    // When the thread ends meanwhile, the next one's `ready` brings it.
    this.#send('members', undefined, {settle, reject: before});
  }

  #send<Q extends Question>(question: Q, ask: Questions[Q]['ask'], pending: Pending): void {
    if (!this.#port) return pending.reject(down());
    const id = ++this.#lastId;
    this.#pending.set(id, pending);
    this.#port.postMessage({id, question, ask} as ToThread);
  }

  #take(message: Exclude<FromThread, {kind: 'log' | 'failed' | 'ready'}>): void {
    if (message.kind === 'event') for (const listener of this.#listeners) listener.changed(message.event);
    else if (message.kind === 'announcement') for (const listener of this.#announcementListeners) listener(message.announcement);
    else {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'answer') pending?.settle(message.value);
      else pending?.reject(fromThrown(message.error));
    }
  }
}

const down = (): Error => sidecarErrors['tenant-down']('Membership is being started again: try once more in a moment.');
