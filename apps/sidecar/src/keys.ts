/** The ring's keys while it runs. With a key file they outlive the process. */
import {createHash} from 'node:crypto';
import {open, rename} from 'node:fs/promises';
import type {Logger} from 'pino';
import {formatKeyFile} from './key-file.ts';
import {type KeyringControl, type Member, membershipErrors} from '@hivemind/membership/model';

/** Each answers the fingerprints afterwards. Errors: `key-invalid` 422, `key-unknown` 404, `key-in-use` 409, `no-keyring` 409. */
export interface Keys {
  list(): Promise<readonly string[]>;
  install(key: Uint8Array): Promise<readonly string[]>;
  use(fingerprint: string): Promise<readonly string[]>;
  remove(fingerprint: string): Promise<readonly string[]>;
}

export interface KeysOptions {
  readonly member: Pick<Member, 'keyring'>;
  readonly keys: readonly Uint8Array[];
  /** Kept in step with the keys, so that a restart knows them. */
  readonly file: string | undefined;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export function createKeys({member, keys: initial, file, logger}: KeysOptions): Keys {
  let keys = [...initial];
  let queue: Promise<unknown> = Promise.resolve();

  const keyring = (): KeyringControl => {
    if (member.keyring) return member.keyring;
    throw membershipErrors['no-keyring']('This ring speaks in the clear: start its members with --key-file to give it keys.');
  };
  /** One change after the other: the ring decides whether it may be, and in which order the keys stand then. */
  const change = (how: (ring: KeyringControl) => void, installed?: Uint8Array): Promise<readonly string[]> => {
    const done = queue.then(async () => {
      how(keyring());
      const fingerprints = keyring().list();
      const known = [...keys, ...(installed ? [installed] : [])];
      keys = fingerprints.flatMap((fingerprint) => known.find((key) => fingerprintOf(key) === fingerprint) ?? []);
      logger.info({fingerprints}, 'the keys of the ring were changed');
      if (file !== undefined) await write(file, keys).catch((err: unknown) => logger.warn({err, file}, 'the key file could not be written: after a restart the earlier keys hold'));
      return fingerprints;
    });
    queue = done.catch(() => undefined);
    return done;
  };

  return {
    list: async () => keyring().list(),
    install: (key) => change((ring) => ring.install(key), key),
    use: (fingerprint) => change((ring) => ring.use(fingerprint)),
    remove: (fingerprint) => change((ring) => ring.remove(fingerprint)),
  };
}

export function fingerprintOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

/** Whole or not at all. */
async function write(path: string, keys: readonly Uint8Array[]): Promise<void> {
  const draft = `${path}.new`;
  {
    await using file = await open(draft, 'w', 0o600);
    await file.chmod(0o600);
    await file.writeFile(formatKeyFile(keys));
    await file.sync();
  }
  await rename(draft, path);
}
