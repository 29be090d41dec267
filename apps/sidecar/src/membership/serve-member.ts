/** The thread's half: a member of the ring, served over a port. */
import type {Member} from '@hivemind/membership/model';
import {membershipErrors} from '@hivemind/membership/model';
import {toThrown} from '../errors.ts';
import type {FromThread, Question, Questions, ToThread} from './thread.ts';

/** A port as both kinds of thread have it. */
export interface Port<Out, In> {
  postMessage(message: Out): void;
  on(event: 'message', listener: (message: In) => void): unknown;
}

type Answers = {readonly [Q in Question]: (ask: Questions[Q]['ask']) => Questions[Q]['answer'] | Promise<Questions[Q]['answer']>};

/** Answers what is asked through `port`, and tells through it what happens. */
export function serveMember(member: Member, port: Port<FromThread, ToThread>): void {
  const answers = answersOf(member);
  member.onEvent((event) => port.postMessage({kind: 'event', event}));
  member.onAnnouncement((announcement) => port.postMessage({kind: 'announcement', announcement}));
  port.on('message', ({id, question, ask}) => {
    const refuse = (error: unknown): void => port.postMessage({kind: 'refusal', id, error: toThrown(error)});
    try {
      const value = answer(answers, question, ask);
      // At once where it can be: between what `members` answers and what is posted there may be no event.
      if (value instanceof Promise) value.then((later: unknown) => port.postMessage({kind: 'answer', id, value: later}), refuse);
      else port.postMessage({kind: 'answer', id, value});
    } catch (error) {
      refuse(error);
    }
  });
  port.postMessage({kind: 'ready', address: member.address});
}

/** Pairs a question with its own kind of answer. */
function answer<Q extends Question>(answers: Pick<Answers, Q>, question: Q, ask: Questions[Q]['ask']): ReturnType<Answers[Q]> {
  return answers[question](ask) as ReturnType<Answers[Q]>;
}

function answersOf(member: Member): Answers {
  const keyring = (): NonNullable<Member['keyring']> => {
    if (member.keyring) return member.keyring;
    throw membershipErrors['no-keyring']('This ring speaks in the clear: start its members with --key-file to give it keys.');
  };
  const changed = (change: () => void): readonly string[] => {
    change();
    return keyring().list();
  };
  return {
    members: () => member.members(),
    announcements: () => member.announcements(),
    announce: (announcement) => member.announce(announcement),
    join: (addresses) => member.join(addresses),
    leave: () => member.leave(),
    statistics: () => member.statistics(),
    keys: () => keyring().list(),
    installKey: (key) => changed(() => keyring().install(key)),
    useKey: (fingerprint) => changed(() => keyring().use(fingerprint)),
    removeKey: (fingerprint) => changed(() => keyring().remove(fingerprint)),
  };
}
