/**
 * Configs and secrets in containers: as environment values, and as files that are bind-mounted read-only. Files from
 * secrets are kept in memory (a tmpfs) where the machine has one that root may use.
 */
import {chmod, chown, mkdir, rename, rm, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {type Bus, call} from '@hivemind/bus';
import {type ContainerRecord, type RegistryCredentials} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Contribution, NodeHook, RuntimeMount} from '@hivemind/runtime';
import type * as z from 'zod';
import {configurationErrors} from './errors.ts';
import {decoded, type Opened, openSecrets} from './secrets.ts';

export interface ConfigurationOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly session: {current(): number | undefined};
  /** Where files from configs are: `<dataDir>/agent/files/<container>/`. */
  readonly dataDir: string;
  /** Where files from secrets are; a tmpfs. Beside those of configs when absent. */
  readonly secretsDir?: string;
}

export interface Configuration {
  readonly hook: NodeHook;
  /** From the secret that `pull.secret` names; undefined when it names none. */
  credentials(record: ContainerRecord, signal: AbortSignal): Promise<z.infer<typeof RegistryCredentials> | undefined>;
}

type Source = {readonly config: string; readonly key: string} | {readonly secret: string; readonly key: string};

export function createConfiguration(options: ConfigurationOptions): Configuration {
  const filesDir = join(options.dataDir, 'agent', 'files');
  const secretsDir = options.secretsDir ?? filesDir;
  const open = (record: ContainerRecord, names: readonly string[], signal: AbortSignal): Promise<Opened> =>
    openSecrets(options.bus, options.node, options.session.current(), record.namespace, names, signal);

  return {
    hook: {
      name: 'configuration',
      async prepare(record, signal) {
        const sources = sourcesOf(record);
        if (sources.length === 0) return {};
        const [configs, secrets] = await Promise.all([
          fetchConfigs(options, record, [...new Set(sources.flatMap((source) => ('config' in source ? source.config : [])))], signal),
          open(record, [...new Set(sources.flatMap((source) => ('secret' in source ? source.secret : [])))], signal),
        ]);
        const valueOf = (source: Source): Buffer => ('config' in source ? pick('config', configs, source.config, source.key) : pick('secret', secrets, source.secret, source.key));
        return {env: environmentOf(record, valueOf), mounts: await materialise(record, valueOf, filesDir, secretsDir)};
      },
      async removed(record) {
        await Promise.all([filesDir, secretsDir].map((dir) => rm(join(dir, record.id), {recursive: true, force: true})));
      },
    },

    async credentials(record, signal) {
      const {secret} = record.template.pull;
      if (secret === undefined) return undefined;
      const opened = await open(record, [secret], signal);
      const value = (key: string): string => pick('secret', opened, secret, key).toString('utf8');
      return {username: value('username'), password: value('password')};
    },
  };
}

function sourcesOf({template}: ContainerRecord): Source[] {
  const fromEnv = Object.values(template.env).filter((value) => typeof value !== 'string');
  return [...fromEnv, ...template.files.map(sourceOfFile)];
}

function sourceOfFile({config, secret, key}: ContainerRecord['template']['files'][number]): Source {
  return config === undefined ? {secret: secret ?? '', key} : {config, key};
}

async function fetchConfigs({bus, node}: ConfigurationOptions, record: ContainerRecord, names: readonly string[], signal: AbortSignal): Promise<Opened> {
  if (names.length === 0) return new Map();
  const reply = await call(bus, subjects.getConfigs, {node}, {configs: names.map((name) => ({namespace: record.namespace, name}))}, {signal});
  const [missing] = reply.missing;
  if (missing) throw configurationErrors['config-not-found'](`The config ${missing.name} does not exist in namespace ${missing.namespace}.`);
  return new Map(reply.configs.map(({name, data}) => [name, decoded(data)]));
}

function pick(kind: 'config' | 'secret', opened: Opened, name: string, key: string): Buffer {
  const value = opened.get(name)?.get(key);
  if (!value) throw configurationErrors['key-not-found'](`The ${kind} ${name} has no key ${key}.`);
  return value;
}

function environmentOf({template}: ContainerRecord, valueOf: (source: Source) => Buffer): Contribution['env'] {
  return Object.fromEntries(Object.entries(template.env).flatMap(([name, value]) => (typeof value === 'string' ? [] : [[name, valueOf(value).toString('utf8')]])));
}

async function materialise(record: ContainerRecord, valueOf: (source: Source) => Buffer, filesDir: string, secretsDir: string): Promise<RuntimeMount[]> {
  return Promise.all(
    record.template.files.map(async (file, index) => {
      const dir = join(file.secret === undefined ? filesDir : secretsDir, record.id);
      await mkdir(dir, {recursive: true, mode: 0o700});
      const path = join(dir, String(index));
      await writeFileInPlace(path, valueOf(sourceOfFile(file)), file);
      return {type: 'bind', source: path, target: file.mount, readOnly: true} as const;
    }),
  );
}

/** A bind mount holds the inode: one that exists is written again in place, so that a restart sees it. */
async function writeFileInPlace(path: string, content: Buffer, {mode, uid, gid}: {readonly mode: string; readonly uid?: number | undefined; readonly gid?: number | undefined}): Promise<void> {
  const exists = await stat(path).then(() => true, () => false);
  if (exists) {
    await chmod(path, 0o600);
    await writeFile(path, content);
  } else {
    await writeFile(`${path}.new`, content, {mode: 0o600});
  }
  const target = exists ? path : `${path}.new`;
  if (uid !== undefined || gid !== undefined) await chown(target, uid ?? 0, gid ?? 0);
  await chmod(target, Number.parseInt(mode, 8));
  if (!exists) await rename(target, path);
}
