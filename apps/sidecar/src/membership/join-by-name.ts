/** Members to join may be given by names, whose addresses are asked for anew until one of them has answered. */
import type {Logger} from 'pino';
import {type HostPort, resolveHost} from '../address.ts';
import type {Member} from '@hivemind/membership/model';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export interface JoinByNameOptions {
  readonly names: readonly HostPort[];
  readonly member: Pick<Member, 'join'>;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  readonly logger: Pick<Logger, 'warn'>;
}

/** Answers how to give up. */
export function joinByName({names, member, setTimer, logger}: JoinByNameOptions): () => void {
  let stopped = false;
  let cancel = (): void => undefined;
  const attempt = async (failures: number): Promise<void> => {
    try {
      const addresses = (await Promise.all(names.map(resolveHost))).flat();
      await member.join(addresses);
    } catch (err) {
      if (stopped) return;
      if (failures === 0) logger.warn({err}, 'the ring could not be joined yet');
      cancel = setTimer(() => void attempt(failures + 1), Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10)));
    }
  };
  if (names.length > 0) void attempt(0);
  return () => {
    stopped = true;
    cancel();
  };
}
