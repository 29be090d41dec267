/** Nodes and requests with defaults, so that each test shows only what matters. */
import type {PlacementRequest} from '@hivemind/contracts';
import type {NodeView} from '../core/nodes.ts';

export const GiB = 2 ** 30;

export function aNode(name: string, fields: Partial<NodeView> = {}): NodeView {
  return {name, labels: {}, capacity: {cpu: 4000, memory: 8 * GiB, pods: 500}, containers: {}, ...fields};
}

let asked = 0;

export function aRequest(fields: Partial<PlacementRequest> = {}): PlacementRequest {
  asked += 1;
  return {id: `web-${asked}`, namespace: 'default', app: 'web', cpu: 0, memory: 0, ports: [], nodes: [], constraints: [], pinnedTo: [], ...fields};
}

export function held(fields: Partial<NodeView['containers'][string]> = {}): NodeView['containers'][string] {
  return {cpu: 0, memory: 0, ports: [], namespace: 'default', app: 'other', ...fields};
}
