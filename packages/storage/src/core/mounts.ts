/** From the volumes of a template to what the engine mounts. Pure. */
import {type ContainerRecord, memoryBytes} from '@hivemind/contracts';
import type {RuntimeMount} from '@hivemind/runtime';
import {volumeLabels, volumeName} from './names.ts';

export function mountsOf({namespace, template}: ContainerRecord, cluster: string): RuntimeMount[] {
  return template.volumes.map(({name, host, size, mount: target, readOnly}) => {
    if (name !== undefined) return {type: 'volume', source: volumeName(cluster, namespace, name), target, readOnly, labels: volumeLabels(cluster, namespace, name)};
    if (host !== undefined) return {type: 'bind', source: host, target, readOnly};
    return {type: 'tmpfs', target, ...(size === undefined ? {} : {size: memoryBytes(size)})};
  });
}
