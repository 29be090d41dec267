/** The thread of membership. Nothing else runs here, so nothing else can delay a probe. */
import {parentPort, workerData} from 'node:worker_threads';
import {type MemberOptions, startMember} from '@hivemind/membership/node';
import {toThrown} from '../errors.ts';
import {serveMember} from './serve-member.ts';
import type {FromThread, LogLevel, MembershipSettings} from './thread.ts';

if (!parentPort) throw new Error('membership.worker.ts is a thread: it is started by the sidecar');
const port = parentPort;
// Structured data from the main thread of the same program.
const settings = workerData as MembershipSettings;

/** The log is the main thread's. Errors are told by their text: their classes would be lost on the way. */
const log = (level: LogLevel) => (given: unknown, text?: string): void => {
  const {err, ...fields} = typeof given === 'object' && given !== null ? Object.fromEntries(Object.entries(given)) : {};
  port.postMessage({kind: 'log', level, fields: err === undefined ? fields : {...fields, error: String(err)}, text: text ?? String(given)} satisfies FromThread);
};

// A member logs at these levels and nothing else; a whole pino would cost this thread a tenth of its memory.
const levels: Pick<MemberOptions['logger'], LogLevel> = {debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error')};

try {
  const member = await startMember({...settings, logger: levels as MemberOptions['logger']});
  serveMember(member, port);
} catch (error) {
  port.postMessage({kind: 'failed', error: toThrown(error)} satisfies FromThread);
  port.close();
}
