/** Starts a member of the ring. */
import {setTimeout as pause} from 'node:timers/promises';
import {encodeMetadata} from '../core/metadata.ts';
import type {Address} from '../core/messages.ts';
import {createProtocol} from '../core/protocol.ts';
import type {Framing} from '../wire/index.ts';
import {monotonic, secureRandom} from './clock.ts';
import {Keyring} from './keyring.ts';
import type {Member} from './member.ts';
import {Memory} from './memory.ts';
import {advertised, checkOptions, type MemberOptions} from './options.ts';
import {Ring} from './ring.ts';
import {Transport} from './transport.ts';

/** ms until the ring is asked for again, doubling. */
const FIRST_RETRY = 500;
const LAST_RETRY = 15_000;
/** Addresses asked at a time. */
const ASKED_AT_ONCE = 4;

/**
 * Resolves when it listens; the ring is joined in the background. Errors: `invalid-input` (422), `member-invalid` (422),
 * `metadata-too-large` (422), `key-invalid` (422), `address-in-use` (409).
 */
export async function startMember(given: MemberOptions): Promise<Member> {
  const options = checkOptions(given);
  const keyring = options.keys ? new Keyring(options.keys) : undefined;
  const label = options.label === undefined ? undefined : Buffer.from(options.label);
  const meta = encodeMetadata(options.metadata ?? {});
  const memory = options.dataDir === undefined ? undefined : new Memory(options.dataDir, options.name, options.logger);
  const remembered = await memory?.read();
  const started: {ring?: Ring} = {};
  const transport = await Transport.open({
    bind: options.bind,
    framing: (): Framing => ({...(keyring ? {keys: keyring.keys} : {}), ...(label ? {label} : {})}),
    ...(options.rates ? {rates: options.rates} : {}),
    now: monotonic,
    onPacket: (from, messages) => started.ring?.heard(from, messages),
    onStream: (from, message) => started.ring?.asked(from, message),
  });
  try {
    const protocol = createProtocol({
      self: {name: options.name, address: advertised(transport.bound, options.advertise), meta, incarnation: (remembered?.incarnation ?? 0) + 1},
      config: {...options.config, ...(label ? {packetBytes: (options.config?.packetBytes ?? 1400) - 2 - label.length} : {})},
      random: secureRandom,
      now: monotonic(),
    });
    const ring = new Ring({protocol, transport, keyring, memory, logger: options.logger});
    started.ring = ring;
    void joinUntilAnswered(ring, [...(options.join ?? []), ...(remembered?.members ?? [])], options.logger);
    return ring;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** Asks a few at a time, in order, round and round, until one has answered. */
async function joinUntilAnswered(ring: Ring, candidates: readonly Address[], logger: MemberOptions['logger']): Promise<void> {
  const others = candidates.filter(({host, port}) => host !== ring.address.host || port !== ring.address.port);
  if (others.length === 0) return;
  for (let at = 0, wait = FIRST_RETRY; !ring.stopped; at += ASKED_AT_ONCE) {
    const asked = others.slice(at % others.length, (at % others.length) + ASKED_AT_ONCE);
    try {
      await ring.join(asked);
      return;
    } catch (error) {
      if (ring.stopped) return;
      logger.warn({err: error}, 'the ring could not be joined yet');
    }
    if (ring.members().some(({name, state}) => name !== ring.name && state === 'alive')) return;
    await pause(wait * (0.5 + secureRandom()), undefined, {ref: false});
    wait = Math.min(LAST_RETRY, wait * 2);
  }
}
