/** What the engine says, as errors of the runtime port. Its status codes are coarse, so its words are read too. */
import {HivemindError} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {missingCommand} from '../missing-command.ts';

const unreachable = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'EACCES', 'ENOTSOCK', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * @param what Begins the sentence: "Starting web-x1".
 * @param address The engine's, for when it does not answer.
 */
export function engineError(error: unknown, what: string, address: string): HivemindError {
  if (error instanceof HivemindError) return error;
  const code = field(error, 'code');
  if (typeof code === 'string' && unreachable.has(code)) return unavailable(code, address, error);
  const said = engineWords(error);
  if (/socket hang up|aborted/.test(said) && statusOf(error) === undefined) return unavailable(said, address, error);
  const details = {cause: error};
  const port = takenPort(said);
  if (port !== undefined) {
    return runtimeErrors['port-in-use'](`${what} failed: port ${port} is taken on this machine by another container or program. Publish another port, or free this one.`, details);
  }
  const command = missingCommand(said);
  if (command !== undefined) return runtimeErrors['start-failed'](`${what} failed: ${command}`, details);
  switch (statusOf(error)) {
    case 404:
      if (/no such container/i.test(said)) return runtimeErrors['container-not-found'](`${what} failed: the engine has no such container.`, details);
      if (/no such image/i.test(said)) return runtimeErrors['image-not-found'](`${what} failed: ${said}.`, details);
      return runtimeErrors['start-failed'](`${what} failed: ${said}.`, details);
    case 400:
      return runtimeErrors['start-failed'](`${what} failed: ${said}.`, details);
    case 409:
      return runtimeErrors['runtime-conflict'](`${what} failed: ${said}.`, details);
    case 500:
      // runc's and containerd's refusals are about this container; the rest is about the engine.
      if (/OCI runtime|failed to create (shim|task)|mount|error gathering device|invalid|unknown capability|user .*not found|no matching entries/i.test(said)) {
        return runtimeErrors['start-failed'](`${what} failed: ${said}.`, details);
      }
      break;
    default:
  }
  if (/all predefined address pools|non-overlapping IPv4/i.test(said)) {
    return runtimeErrors['runtime-failed'](`${what} failed: the engine has no free address range for another network. Remove unused networks, or add default-address-pools to its daemon.json.`, details);
  }
  return runtimeErrors['runtime-failed'](`${what} failed: ${said}.`, details);
}

/** A failed pull or the registry's answer inside its progress. */
export function pullError(error: unknown, image: string, address: string): HivemindError {
  if (error instanceof HivemindError) return error;
  const code = field(error, 'code');
  if (typeof code === 'string' && unreachable.has(code)) return unavailable(code, address, error);
  const said = engineWords(error);
  const details = {cause: error};
  // Docker Hub says "access denied" for what does not exist, so that this is asked first.
  if (/manifest unknown|not found|repository does not exist|name unknown|no matching manifest|invalid reference|NAME_UNKNOWN/i.test(said)) {
    return runtimeErrors['image-not-found'](`The image ${image} does not exist, or asks for credentials: ${said}.`, details);
  }
  if (/unauthorized|no basic auth|authentication required|denied|forbidden|incorrect username/i.test(said)) {
    return runtimeErrors['image-unauthorized'](`The registry refused to give ${image}: ${said}. Check the credentials (pull.secret).`, details);
  }
  return runtimeErrors['image-pull-failed'](`The image ${image} could not be pulled: ${said}.`, details);
}

export function isStatus(error: unknown, status: number): boolean {
  return statusOf(error) === status;
}

/** The engine's message without what docker-modem puts around it. */
export function engineWords(error: unknown): string {
  const json = field(error, 'json');
  const message = field(json, 'message') ?? field(error, 'message') ?? error;
  return String(message).replace(/^\(HTTP code \d+\) [^-]*- /, '').trim().replace(/\.$/, '');
}

function unavailable(why: string, address: string, cause: unknown): HivemindError {
  const hint = why === 'EACCES' ? 'This user may not open it: run as root, or join its group.' : 'Is Docker running? Start it, or name its address with --docker-host.';
  return runtimeErrors['runtime-unavailable'](`The container engine at ${address} does not answer (${why}). ${hint}`, {cause});
}

function statusOf(error: unknown): number | undefined {
  const status = field(error, 'statusCode');
  return typeof status === 'number' ? status : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** The port of "Bind for 0.0.0.0:8080 failed: port is already allocated", "listen tcp4 :80: bind: address already in use" and their kin. */
function takenPort(said: string): string | undefined {
  if (!/port is already allocated|address already in use/i.test(said)) return undefined;
  const match = /Bind for \S*:(\d+) failed|listen (?:tcp|udp)\d? \S*:(\d+): bind|host port (?:for )?\S*?:(\d+)(?::|\/|\s|$)/i.exec(said);
  return match?.[1] ?? match?.[2] ?? match?.[3] ?? 'that it publishes';
}
