/** What a sidecar is started with on a command line: one table and one reading of it, for `hivemind membership` and for `main.ts`. */
import {join, resolve} from 'node:path';
import {defineErrors, type HivemindError} from '@hivemind/contracts/define-errors';
import {type HostPort, parseAddress, parseHostPort} from './address.ts';
import type {SidecarOptions} from './sidecar.ts';

export const flagErrors = defineErrors({
  'wrong-usage': {status: 400, title: 'The command was used wrongly'},
});

export interface SidecarFlag {
  readonly name: string;
  readonly value: string;
  readonly about: string;
  /** May be given several times. */
  readonly repeat?: true;
}

export const sidecarFlags = [
  {name: 'name', value: 'name', about: 'of this machine, the only one in the ring'},
  {name: 'bind', value: 'ip:port', about: 'where the ring is spoken, UDP and TCP; port 0: any that is free'},
  {name: 'advertise', value: 'ip:port', about: 'what others are told, where that is another address'},
  {name: 'join', value: 'host:port,...', about: 'members of the ring; may be given several times', repeat: true},
  {name: 'key-file', value: 'file', about: 'base64 keys of 16, 24 or 32 bytes, one a line; the first one sends'},
  {name: 'socket', value: 'path', about: 'the sidecar\'s unix socket (default: sidecar.sock of the data dir)'},
  {name: 'zone', value: 'zone', about: 'where the machine stands'},
  {name: 'tag', value: 'key=value', about: 'what else it tells of itself; may be given several times', repeat: true},
  {name: 'bus', value: 'url', about: 'the cluster\'s bus, as in nats://10.0.0.1:4222'},
  {name: 'metrics', value: 'host:port', about: 'where liveness and metrics are served, or off (default: any free port of 127.0.0.1)'},
] as const satisfies readonly SidecarFlag[];

/** Values by the flags' names; those that repeat as lists. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

export type ReadFlags = Omit<SidecarOptions, 'logger' | 'connectBus'> & {readonly bus?: string};

const AN_ADDRESS = 'an IP address and a port: write it as in 10.0.0.1:7946 or [fd00::1]:7946';
const A_PLACE = 'HOST:PORT: write it as in 10.0.0.1:7946, [fd00::1]:7946 or seed:7946';

/**
 * `dataDir` absolute; paths are relative to `cwd`.
 * @throws `wrong-usage` naming the flag, its value, and how it is written
 */
export function readFlags(values: FlagValues, {dataDir, cwd}: {readonly dataDir: string; readonly cwd: string}): ReadFlags {
  const one = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const many = (name: string): readonly string[] => (Array.isArray(values[name]) ? values[name].map(String) : []);
  const needed = (name: string): string => one(name) || fail(name, 'is needed');
  const parsed = <T>(name: string, text: string, parse: (text: string) => T | undefined, what: string): T => parse(text) ?? fail(name, `${text} is not ${what}`);
  const optional = <T>(name: string, read: (text: string) => T): T | undefined => {
    const text = one(name);
    return text === undefined ? undefined : read(text);
  };
  const name = needed('name');
  if (name.length > 128) fail('name', 'is longer than 128 characters');
  return {
    name,
    bind: parsed('bind', needed('bind'), parseAddress, AN_ADDRESS),
    advertise: optional('advertise', (text) => parsed('advertise', text, parseAddress, AN_ADDRESS)),
    join: many('join').flatMap((list) => list.split(',')).map((word) => word.trim()).filter((word) => word !== '').map((word) => parsed('join', word, parseHostPort, A_PLACE)),
    keyFile: optional('key-file', (file) => resolve(cwd, file)),
    dataDir,
    socket: optional('socket', (path) => resolve(cwd, path)) ?? join(dataDir, 'sidecar.sock'),
    zone: one('zone'),
    tags: Object.fromEntries(many('tag').map((text) => parsed('tag', text, parseTag, 'KEY=VALUE'))),
    bus: optional('bus', (text) => (/^(nats|tls):\/\/[^\s/]+$/.test(text) ? text : fail('bus', `${text} is not a bus: write it as in nats://10.0.0.1:4222`))),
    metrics: optional('metrics', (text): HostPort | 'off' => (text === 'off' ? text : parsed('metrics', text, parseHostPort, `off, nor ${A_PLACE}`))),
  };
}

/** The flag that is to blame for what `startSidecar` refuses, where one is. */
export function blamedFlag({code}: Pick<HivemindError, 'code'>): string | undefined {
  const flags: Readonly<Record<string, string>> = {'key-file-invalid': 'key-file', 'key-invalid': 'key-file', 'socket-invalid': 'socket', 'invalid-input': 'bind', 'member-invalid': 'name', 'metadata-too-large': 'tag'};
  return flags[code];
}

function parseTag(text: string): readonly [string, string] | undefined {
  const equals = text.indexOf('=');
  return equals > 0 ? [text.slice(0, equals), text.slice(equals + 1)] : undefined;
}

function fail(name: string, message: string): never {
  throw flagErrors['wrong-usage'](`--${name} ${message}`);
}
