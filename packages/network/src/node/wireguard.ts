/** WireGuard on this machine: the device, made by the kernel or else by the program wireguard-go, its settings, and the machine's key. */
import {createPrivateKey, generateKeyPairSync, type KeyObject} from 'node:crypto';
import {access, constants, readFile} from 'node:fs/promises';
import {delimiter, join} from 'node:path';
import {WIREGUARD} from '../core/kernel.ts';
import {configOf, parseDump, type WireGuardSettings, type WireGuardState} from '../core/wireguard.ts';
import {networkErrors} from '../errors.ts';
import {writeAtomically} from './addresses.ts';
import {run, searchPath} from './command.ts';

const PROGRAM = 'wireguard-go';
const TUN = '/dev/net/tun';
/** Made and removed at once, to see whether the kernel can. */
const TRIAL = 'hm-wg-try';
const UNABLE = `no WireGuard in the kernel (modprobe wireguard), nor the command ${PROGRAM}`;

let kernelCan = false;

/** By what this machine can encrypt, or why it cannot. */
export async function wireGuardMeans(): Promise<{readonly by: 'kernel' | 'wireguard-go'} | {readonly unable: string}> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return {unable: 'Hivemind does not run as root on Linux here'};
  if (!(await isThere('wg'))) return {unable: 'the command wg is missing (Debian: wireguard-tools)'};
  if (!kernelCan) {
    const {status, stderr} = await run('ip', ['-batch', '-'], `link add ${TRIAL} type wireguard\nlink delete ${TRIAL}\n`);
    kernelCan = status === 0 || stderr.includes('File exists');
  }
  if (kernelCan) return {by: 'kernel'};
  if (!(await isThere(PROGRAM))) return {unable: UNABLE};
  return (await access(TUN).then(() => true, () => false)) ? {by: PROGRAM} : {unable: `no WireGuard in the kernel (modprobe wireguard), nor ${TUN}, which ${PROGRAM} takes`};
}

/** Undefined: there is no such device, or it does not answer as one. @throws `machine-unable` 503 */
export async function readWireGuard(): Promise<WireGuardState | undefined> {
  const {status, stdout, missing} = await run('wg', ['show', WIREGUARD, 'dump']);
  if (missing) throw networkErrors['machine-unable']('The command wg is missing: install wireguard-tools.');
  // One that hangs says nothing of the device.
  if (status === null) throw networkErrors['machine-unable']('The command wg does not end.');
  return status === 0 ? parseDump(stdout) : undefined;
}

/** Anew. The program ends by itself when its device is removed, and lives on without the agent. @returns why that cannot be */
export async function makeWireGuard(): Promise<string | undefined> {
  await run('ip', ['link', 'delete', 'dev', WIREGUARD]);
  if ((await run('ip', ['link', 'add', WIREGUARD, 'type', 'wireguard'])).status === 0) return undefined;
  const {status, stderr, missing} = await run(PROGRAM, [WIREGUARD], '', {detached: true, cwd: '/', env: {PATH: searchPath(), LOG_LEVEL: 'silent'}});
  return status === 0 ? undefined : missing ? UNABLE : `${PROGRAM}: ${stderr.trim()}`;
}

/** @returns why that cannot be */
export async function setWireGuard(settings: WireGuardSettings, privateKey: string): Promise<string | undefined> {
  // What Node gives as standard input is a socket, which wg cannot open by name. A file would hold the key for a while.
  const {status, stderr} = await run('sh', ['-c', `cat | wg syncconf ${WIREGUARD} /dev/stdin`], configOf(settings, privateKey));
  return status === 0 ? undefined : `wg: ${stderr.trim()}`;
}

export interface KeyPair {
  /** In base64, as the other machines know it. */
  readonly publicKey: string;
  readonly privateKey: string;
}

/** The machine's own, made when it is asked for first; the private one never leaves the machine. */
export class MachineKey {
  readonly #path: string;
  #pair: Promise<KeyPair> | undefined;

  /** @param path a file of mode 0600 */
  constructor(path: string) {
    this.#path = path;
  }

  /** Rejects where it cannot be kept: another one after each start would not be known to the others. */
  pair(): Promise<KeyPair> {
    this.#pair ??= this.#loadOrMake().catch((error: unknown) => {
      this.#pair = undefined;
      throw error;
    });
    return this.#pair;
  }

  async #loadOrMake(): Promise<KeyPair> {
    const known = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    const found = known === undefined ? undefined : pairOf(known);
    if (found) return found;
    const {privateKey} = generateKeyPairSync('x25519');
    await writeAtomically(this.#path, String(privateKey.export({type: 'pkcs8', format: 'pem'})));
    return inBase64(privateKey);
  }
}

/** Undefined: what is there is no key. */
function pairOf(pem: string): KeyPair | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === 'x25519' ? inBase64(key) : undefined;
  } catch {
    return undefined;
  }
}

function inBase64(key: KeyObject): KeyPair {
  const {x = '', d = ''} = key.export({format: 'jwk'});
  const [publicKey, privateKey] = [x, d].map((value) => Buffer.from(value, 'base64url').toString('base64'));
  return {publicKey: publicKey!, privateKey: privateKey!};
}

async function isThere(program: string): Promise<boolean> {
  return Promise.any(searchPath().split(delimiter).map((dir) => access(join(dir, program), constants.X_OK))).then(() => true, () => false);
}
