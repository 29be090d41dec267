/** Membership as a tenant of the process. */
import {Worker} from 'node:worker_threads';
import type {Logger} from 'pino';
import type {Address} from '@hivemind/membership/model';
import {sidecarErrors} from '../errors.ts';
import type {Tenant} from '../tenants.ts';
import type {RemoteMember} from './remote-member.ts';
import type {FromThread, MembershipSettings, ToThread} from './thread.ts';

/** MiB. A ring of ten thousand takes less than a tenth of it. */
const HEAP = {maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 2, stackSizeMb: 1};
/** Ms for the ring to be told; its own bound is shorter. */
const LEAVE_WITHIN_MS = 6_000;

export interface MembershipTenantOptions {
  readonly member: RemoteMember;
  /** Asked at each start: keys may have changed. */
  readonly settings: () => MembershipSettings;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
}

export interface MembershipTenant extends Tenant {
  /** Resolves when it first listens; rejects with why it cannot. */
  readonly listening: Promise<Address>;
  /** Whether the ring is to be told when the process ends. */
  farewell: boolean;
}

export function membershipTenant({member, settings, logger}: MembershipTenantOptions): MembershipTenant {
  const {promise: listening, resolve, reject} = Promise.withResolvers<Address>();
  listening.catch(() => undefined);
  return {
    name: 'membership',
    listening,
    farewell: true,
    launch() {
      const worker = new Worker(new URL('./membership.worker.ts', import.meta.url), {name: 'membership', workerData: settings(), resourceLimits: HEAP});
      const port = {
        postMessage: (message: ToThread) => worker.postMessage(message),
        on: (event: 'message', listener: (message: FromThread) => void) => worker.on(event, listener),
      };
      member.attach(port, ({level, fields, text}) => logger[level](fields, text)).then(resolve, (error: unknown) => {
        logger.error({err: error}, 'membership could not be started');
        reject(error);
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(sidecarErrors['tenant-down']('The thread of membership ended before it listened.')));
      return worker;
    },
    async leave() {
      if (!this.farewell) return;
      const late = AbortSignal.timeout(LEAVE_WITHIN_MS);
      await Promise.race([member.ask('leave'), new Promise((_, refuse) => late.addEventListener('abort', () => refuse(sidecarErrors['tenant-down']('The ring could not be told in time.'))))]);
    },
    onEnd: () => member.detach(),
  };
}
