/** Records as the API answers them. */
import type {App, AppRecord, AppStatus, ConfigRecord, NamespaceRecord} from '@hivemind/contracts';
import type {Stored} from '@hivemind/store';

export function appResource({value, version}: Stored<AppRecord>, status: AppStatus): App {
  const {name, namespace, labels, annotations, spec, meta} = value;
  return {kind: 'App', name, namespace, labels, annotations, spec, status, meta: {...meta, version}};
}

export function configResource({value, version}: Stored<ConfigRecord>) {
  const {name, namespace, labels, annotations, spec, meta} = value;
  return {kind: 'Config' as const, name, namespace, labels, annotations, spec, status: {}, meta: {...meta, version}};
}

export function namespaceResource({value, version}: Stored<NamespaceRecord>, apps: number) {
  const {name, labels, annotations, spec, meta} = value;
  return {kind: 'Namespace' as const, name, labels, annotations, spec, status: {apps}, meta: {...meta, version}};
}
