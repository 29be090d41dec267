/** `volumes` and `tmpfs` of a service, short and long, to Hivemind's mounts. */
import type {AppSpecInput} from '@hivemind/contracts';
import {dnsLabel} from './names.ts';
import {composeBytes, memoryText} from './quantity.ts';
import type {LongMount, Service} from './schema.ts';
import type {Scope} from './scope.ts';

export type Mount = NonNullable<AppSpecInput['volumes']>[number];

/** Names of the volumes of the project. */
export interface VolumeNames {
  /** Resource name of a volume that the file declares; undefined, with an error in `scope`, when it does not. */
  declared(written: string, scope: Scope): string | undefined;
  /** A volume that the file did not name, kept under `name`. */
  anonymous(name: string): void;
}

/** What makes two mounts the same one: where it is in the container. */
export function mountTarget(mount: unknown): string {
  if (typeof mount === 'object' && mount !== null) return String(Reflect.get(mount, 'target') ?? JSON.stringify(mount));
  const parts = String(mount).split(':');
  return parts[1] ?? parts[0] ?? '';
}

export function readMounts(name: string, service: Service, volumes: VolumeNames, scope: Scope): Mount[] {
  const mounts = (service.volumes ?? []).flatMap((mount, index) => {
    const place = scope.at('volumes', index);
    const long = typeof mount === 'string' ? longMount(mount, place) : mount;
    const read = long === undefined ? undefined : readMount(name, long, volumes, place);
    return read === undefined ? [] : [read];
  });
  const memory = (service.tmpfs ?? []).flatMap((text, index) => {
    const read = readTmpfs(text, scope.at('tmpfs', index));
    return read === undefined ? [] : [read];
  });
  return [...mounts, ...memory];
}

const harmlessOptions = new Set(['rw', 'cached', 'delegated', 'consistent', 'default']);

/** `source:target:options` as its long form. */
function longMount(text: string, scope: Scope): LongMount | undefined {
  const [first = '', second, options = '', ...rest] = text.split(':');
  if (rest.length > 0 || first === '') {
    scope.error(`${JSON.stringify(text)} is not a volume: write SOURCE:TARGET, with :ro at the end where it is read only`);
    return undefined;
  }
  const given = options.split(',').filter((option) => option !== '');
  for (const option of given) {
    if (option !== 'ro' && !harmlessOptions.has(option)) scope.unsupported(`the mount option ${option} is not acted upon`);
  }
  const readOnly = given.includes('ro') ? {read_only: true} : {};
  if (second === undefined) return {type: 'volume', target: first};
  return {type: first.startsWith('/') ? 'bind' : 'volume', source: first, target: second, ...readOnly};
}

function readMount(service: string, mount: LongMount, volumes: VolumeNames, scope: Scope): Mount | undefined {
  if (!mount.target.startsWith('/')) {
    scope.error(`${mount.target} is not an absolute path of the container: begin it with /`);
    return undefined;
  }
  const target = {mount: mount.target, ...(mount.read_only === true ? {readOnly: true} : {})};
  switch (mount.type) {
    case 'bind':
      if (mount.source === undefined) scope.error('a bind mount needs a source');
      return mount.source === undefined ? undefined : {host: mount.source, ...target};
    case 'tmpfs':
      return {tmpfs: true, ...sizeOf(mount.tmpfs?.size, scope.at('tmpfs', 'size')), ...target};
    case 'volume': {
      if (mount.source !== undefined && mount.source !== '') {
        const name = volumes.declared(mount.source, scope);
        return name === undefined ? undefined : {name, ...target};
      }
      const name = dnsLabel(`${service}-${mount.target}`);
      volumes.anonymous(name);
      scope.info(`has no name: it is kept as the volume ${name}, which all replicas share`);
      return {name, ...target};
    }
    default:
      scope.unsupported(`mounts of type ${mount.type} are not made; use volume, bind or tmpfs`);
      return undefined;
  }
}

/** `/run`, or `/run:size=64m,mode=1777`. */
function readTmpfs(text: string, scope: Scope): Mount | undefined {
  const [mount = '', options = ''] = text.split(':');
  if (!mount.startsWith('/')) {
    scope.error(`${JSON.stringify(mount)} is not an absolute path of the container: begin it with /`);
    return undefined;
  }
  const given = options.split(',').filter((option) => option !== '');
  const size = given.find((option) => option.startsWith('size='))?.slice(5);
  for (const option of given) {
    if (!option.startsWith('size=') && option !== 'ro' && option !== 'rw') scope.unsupported(`the tmpfs option ${option} is not acted upon`);
  }
  return {tmpfs: true, mount, ...sizeOf(size, scope), ...(given.includes('ro') ? {readOnly: true} : {})};
}

function sizeOf(size: string | number | undefined, scope: Scope): {readonly size?: string | number} {
  if (size === undefined) return {};
  const bytes = composeBytes(size);
  if (bytes === undefined) scope.error(`${JSON.stringify(size)} is not a size: write a number with b, k, m or g, as in 64m`);
  return bytes === undefined ? {} : {size: memoryText(bytes)};
}
