/**
 * What a machine's credentials permit on NATS: its own subjects, at its own end, and its own inboxes. Streams: frames go to
 * the inbox of the other end, whose address ends with the stream's subject (see `@hivemind/bus`).
 *
 * A machine may publish nowhere that it may subscribe: else it could send itself a message whose reply subject is somebody
 * else's, and would then be permitted to answer there.
 */
import {subjectsOfNodes} from '@hivemind/contracts';

export interface Permissions {
  readonly pub: {readonly allow: readonly string[]};
  readonly sub: {readonly allow: readonly string[]};
  /** Answers to what it was asked: how many for each, within how many ns. */
  readonly resp: {readonly max: number; readonly ttl: number};
}

/** No question to a machine waits longer (ns). */
const ANSWER_WITHIN_NS = 120e9;
const channels = {message: 'msg', request: 'req', stream: 'stream'} as const;

/** The first token of the inboxes of a machine: its `inboxPrefix` on the bus. */
export function nodeInbox(node: string): string {
  return `_INBOX_${node}`;
}

/** `node` is a DNS label; `subjectPrefix` as the bus has it. */
export function nodePermissions(node: string, subjectPrefix = 'hivemind'): Permissions {
  const publish: string[] = [];
  const subscribe = [`${nodeInbox(node)}.>`];
  for (const {end, kind, subject} of subjectsOfNodes()) {
    const own = subject.replace('{node}', node);
    (end === 'served' ? subscribe : publish).push(`${subjectPrefix}.${channels[kind]}.${own}`);
    if (kind === 'stream') publish.push(`_INBOX.*.*.${own}`);
  }
  return {pub: {allow: publish}, sub: {allow: subscribe}, resp: {max: 1, ttl: ANSWER_WITHIN_NS}};
}
