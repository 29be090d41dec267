/** The collections that the app manager writes, and those it reads. */
import {collections} from '@hivemind/contracts';
import {collection} from '@hivemind/store';

export const namespaces = collection(collections.namespaces);
export const apps = collection(collections.apps);
export const appRevisions = collection(collections.appRevisions);
export const configs = collection(collections.configs);
export const containers = collection(collections.containers);
export const allocations = collection(collections.allocations);
export const assignments = collection(collections.assignments);
export const adoption = collection(collections.cluster);
export const strangers = collection(collections.strangers);
export const hostPorts = collection(collections.hostPorts);
export const events = collection(collections.events);

export const rollouts = collection(collections.rollouts);
export const containerStatus = collection(collections.containerStatus);
export const networks = collection(collections.networks);
export const services = collection(collections.services);
export const ingresses = collection(collections.ingresses);
export const nodes = collection(collections.nodes);
export const nodeStatus = collection(collections.nodeStatus);
export const nodeLeases = collection(collections.nodeLeases);
export const volumes = collection(collections.volumes);
export const nodeVerdicts = collection(collections.nodeVerdicts);
export const nodeBrake = collection(collections.nodeBrake);
