/** Records with defaults, so that each test shows only what matters. */
import {ContainerRecord, ContainerTemplate} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import type * as z from 'zod';

type TemplateInput = Partial<z.input<typeof ContainerTemplate>>;

export function template(input: TemplateInput = {}): ContainerTemplate {
  return ContainerTemplate.parse({image: 'busybox', ...input});
}

export function containerRecord({template: input, ...fields}: Partial<Omit<ContainerRecord, 'template'>> & {readonly template?: TemplateInput} = {}): ContainerRecord {
  return ContainerRecord.parse({
    id: 'web-aaaaa', namespace: 'default', app: 'web', appUid: 'uid-web', revision: 1, node: 'n1', generation: 1,
    template: template(input), ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00.000Z', ...fields,
  });
}

export function runtimeContainer(fields: Partial<RuntimeContainer> = {}): RuntimeContainer {
  return {runtimeId: 'r1', id: 'web-aaaaa', name: 'web-aaaaa.default.test', labels: {}, state: 'running', oomKilled: false, ports: [], ...fields};
}
