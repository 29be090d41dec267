/** A container as the API answers it: what was decided, joined with what its node reports. */
import {engineLabels, statusUnder, type Container, type ContainerRecord, type ContainerStatus, type ContainerStatusRecord, type NodeVerdict} from '@hivemind/contracts';

/** Before its node has said anything. */
const unreported: ContainerStatus = {phase: 'pending', ready: false, ports: [], restarts: 0, reason: 'Assigned', message: 'Its node has not reported it yet.'};

/** @param localVolume one of its volumes whose data is on its machine */
export function presentContainer(record: ContainerRecord, version: number, reported: ContainerStatusRecord | undefined, verdict?: NodeVerdict, localVolume?: string): Container {
  const {id, namespace, app, node, revision, template, ports, createdAt, generation} = record;
  // A report of another node is about an earlier place.
  const status = statusUnder(verdict, reported?.node === node ? reported.status : unreported, localVolume);
  return {
    kind: 'Container',
    name: id,
    namespace,
    labels: {
      ...template.containerLabels,
      [engineLabels.app]: app,
      [engineLabels.namespace]: namespace,
      [engineLabels.node]: node,
      [engineLabels.revision]: String(revision),
    },
    annotations: {},
    spec: {app, node, revision, image: template.image, ports},
    status,
    meta: {uid: id, version, generation, createdAt, updatedAt: reported?.reportedAt ?? createdAt},
  };
}
