/** The file that says how registries are reached: what `--registries` names. Read once, when the agent starts. */
import {readFile, stat} from 'node:fs/promises';
import {dirname, resolve} from 'node:path';
import {commonErrors} from '@hivemind/contracts';
import * as z from 'zod';
import {errnoOf} from '../errno.ts';
import type {RegistryAccess, RegistrySettings} from './registry.ts';

const Mirror = z.string().refine((text) => URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol), 'is not a URL: write it as in https://mirror.example:5000');
const Access = z.strictObject({
  /** Without TLS. */
  plainHttp: z.boolean().optional(),
  /** A file of certificates (PEM). */
  ca: z.string().min(1).optional(),
  username: z.string().min(1).optional(),
  password: z.string().optional(),
  passwordFile: z.string().min(1).optional(),
  mirrors: z.array(Mirror).max(20).optional(),
})
  .refine(({plainHttp, ca}) => plainHttp !== true || ca === undefined, {path: ['ca'], message: 'means nothing with plainHttp: leave one of them out'})
  .refine(({password, passwordFile}) => password === undefined || passwordFile === undefined, {path: ['passwordFile'], message: 'and password are both given: leave one of them out'})
  .refine(({username, password, passwordFile}) => (username === undefined) === (password === undefined && passwordFile === undefined), {path: ['username'], message: 'and a password (password or passwordFile) go together'});
type Access = z.infer<typeof Access>;
const Registries = z.record(z.string().regex(/^[A-Za-z0-9.[\]:-]+$/, 'is not a registry: write host or host:port, as images name it, without https://'), Access);

/** Permissions of others than the owner. */
const OTHERS = 0o077;

/**
 * @param path of a JSON file, by registry: plainHttp, ca, username, password or passwordFile, mirrors
 * @throws `invalid-input` naming field, value and way out
 */
export async function readRegistries(path: string): Promise<RegistrySettings> {
  const text = await read(path, path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `is not JSON (${cause instanceof Error ? cause.message : String(cause)}): write as in {"registry.example:5000": {"ca": "ca.crt"}}`, cause);
  }
  const {success, data, error} = Registries.safeParse(json);
  if (!success) {
    const [first] = error.issues;
    throw invalid(path, `${first?.path.map(String).join(' → ') || 'it'}${shown(json, first?.path ?? [])}: ${(first?.code === 'invalid_key' ? first.issues[0] : first)?.message ?? 'is not understood'}`, error);
  }
  if (Object.values(data).some(({password}) => password !== undefined)) await refuseIfRead(path, path);
  const known = await Promise.all(Object.entries(data).map(async ([registry, access]) => [registry, await accessOf(path, registry, access)] as const));
  for (const [registry, {mirrors = []}] of Object.entries(data)) {
    const clear = mirrors.find((mirror) => new URL(mirror).protocol === 'http:' && data[new URL(mirror).host]?.plainHttp !== true);
    if (clear !== undefined) throw invalid(path, `${registry} → mirrors: ${clear} is without TLS: name ${new URL(clear).host} with "plainHttp": true, or write https://`);
  }
  return Object.fromEntries(known);
}

async function accessOf(file: string, registry: string, {plainHttp, ca, username, password, passwordFile, mirrors}: Access): Promise<RegistryAccess> {
  const beside = (path: string): string => resolve(dirname(file), path);
  const authority = ca === undefined ? undefined : await read(beside(ca), file, `${registry} → ca`);
  if (authority !== undefined && !authority.includes('-----BEGIN CERTIFICATE-----')) throw invalid(file, `${registry} → ca: ${beside(ca ?? '')} holds no certificate: it is to be PEM`);
  if (passwordFile !== undefined) await refuseIfRead(beside(passwordFile), file, `${registry} → passwordFile`);
  const secret = passwordFile === undefined ? password : (await read(beside(passwordFile), file, `${registry} → passwordFile`)).replace(/\r?\n$/, '');
  return {
    ...(plainHttp === undefined ? {} : {plainHttp}),
    ...(authority === undefined ? {} : {authority}),
    ...(username === undefined || secret === undefined ? {} : {credentials: {username, password: secret}}),
    ...(mirrors === undefined ? {} : {mirrors}),
  };
}

async function read(path: string, file: string, field?: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw invalid(file, `${field === undefined ? '' : `${field}: `}${path} cannot be read (${errnoOf(cause) ?? String(cause)})`, cause);
  }
}

async function refuseIfRead(path: string, file: string, field?: string): Promise<void> {
  const {mode} = await stat(path).catch(() => ({mode: 0}));
  if ((mode & OTHERS) !== 0) throw invalid(file, `${field === undefined ? '' : `${field}: `}${path} holds a password, and others may read it: chmod 600 ${path}`);
}

/** The value at fault, unless it may be a password. */
function shown(json: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined), json);
  return value === undefined || typeof value === 'object' || path.at(-1) === 'password' ? '' : ` (${JSON.stringify(value)})`;
}

function invalid(file: string, why: string, cause?: unknown): Error {
  return commonErrors['invalid-input'](`The registries of ${file}: ${why}.`, {cause});
}
