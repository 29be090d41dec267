/** A container as the API answers it: what was decided, joined with what its node reports. */
import {engineLabels, statusUnder, type Container, type ContainerRecord, type ContainerStatus, type ContainerStatusRecord, type NodeVerdict, type PortBinding, type PublishedPort} from '@hivemind/contracts';

/** Before its node has said anything. */
const unreported: ContainerStatus = {phase: 'pending', ready: false, ports: [], restarts: 0, reason: 'Assigned', message: 'Its node has not reported it yet.'};

export interface Surroundings {
  readonly reported: ContainerStatusRecord | undefined;
  readonly verdict?: NodeVerdict | undefined;
  /** One of its volumes whose data is on its machine. */
  readonly localVolume?: string | undefined;
  /** Ports of its machine that lead to it among others of its app. */
  readonly published?: readonly PublishedPort[];
}

export function presentContainer(record: ContainerRecord, version: number, {reported, verdict, localVolume, published = []}: Surroundings): Container {
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
    status: {...status, ports: status.phase === 'running' ? withPublished(status.ports, published) : status.ports},
    meta: {uid: id, version, generation, createdAt, updatedAt: reported?.reportedAt ?? createdAt},
  };
}

/** Of those that the engine did not bind itself. */
function withPublished(bound: readonly PortBinding[], published: readonly PublishedPort[]): PortBinding[] {
  const led = published.filter((port) => !bound.some(({container, protocol, host}) => host !== undefined && container === port.targetPort && protocol === port.protocol));
  return [...bound.filter(({container, protocol}) => !led.some((port) => port.targetPort === container && port.protocol === protocol)),
    ...led.map(({name, port, targetPort, protocol, address}) => ({...(name === undefined ? {} : {name}), container: targetPort, protocol, host: port, ...(address === undefined ? {} : {address})}))];
}
