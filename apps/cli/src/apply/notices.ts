/** What a Compose file asks for and does not get, by name. */
import {type Notice, positionText} from '@hivemind/compose';
import type {Session} from '../session.ts';

export function printNotices({output}: Session, notices: readonly Notice[]): void {
  for (const {level, path, message, at} of notices) output.note(`${level === 'unsupported' ? 'not supported' : 'note'}: ${path} ${message} (${positionText(at)})`);
}
