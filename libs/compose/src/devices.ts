/** `devices` of a service, short and long, to Hivemind's. */
import type {AppSpecInput} from '@hivemind/contracts';
import type {LongDevice, Service} from './schema.ts';
import type {Scope} from './scope.ts';

export type Device = NonNullable<AppSpecInput['devices']>[number];

/** What makes two devices the same one: where it is in the container. */
export function deviceTarget(device: unknown): string {
  const long = typeof device === 'string' ? longDevice(device) : device;
  return typeof long === 'object' && long !== null ? String(Reflect.get(long, 'target') ?? Reflect.get(long, 'source') ?? JSON.stringify(long)) : String(long);
}

export function readDevices(service: Service, scope: Scope): Device[] {
  return (service.devices ?? []).flatMap((device, index) => {
    const place = scope.at('devices', index);
    const long = typeof device === 'string' ? longDevice(device) : device;
    if (long !== undefined && long.source.startsWith('/dev/')) return [{host: long.source, ...(long.target === undefined ? {} : {mount: long.target}), ...(long.permissions === undefined ? {} : {permissions: inOrder(long.permissions)})}];
    if (long?.source.includes('=') === true) place.unsupported(`${long.source} is not passed in: only devices by their path are`);
    else place.error(`${JSON.stringify(device)} is not a device: write /dev/NAME, /dev/NAME:/dev/OTHER or /dev/NAME:/dev/OTHER:rwm`);
    return [];
  });
}

/** `source:target:permissions`, or `source:permissions`. */
function longDevice(text: string): LongDevice | undefined {
  const [source = '', second, third, ...rest] = text.split(':');
  if (rest.length > 0 || source === '') return undefined;
  if (second === undefined) return {source};
  return second.startsWith('/') ? {source, target: second, ...(third === undefined ? {} : {permissions: third})} : third === undefined ? {source, permissions: second} : undefined;
}

/** `mr` is `rm`; what is none of the three stays, and is refused. */
const inOrder = (permissions: string): string => [...permissions].toSorted((a, b) => 'rwm'.indexOf(a) - 'rwm'.indexOf(b)).join('');
