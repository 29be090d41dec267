/** Namespaces that are made because something is put into them. */
import type {NamespaceRecord} from '@hivemind/contracts';
import type {Effects} from '@hivemind/service';

export function newNamespace(name: string, {now, uid}: Pick<Effects, 'now' | 'uid'>): NamespaceRecord {
  const time = new Date(now()).toISOString();
  return {name, labels: {}, annotations: {}, spec: {}, meta: {uid: uid(), generation: 1, createdAt: time, updatedAt: time}};
}
