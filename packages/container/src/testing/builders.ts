/** Containers with everything that a test does not care about filled in. */
import {ContainerTemplate, type ContainerRecord} from '@hivemind/contracts';
import type {RuntimeSpec} from '@hivemind/runtime';
import type * as z from 'zod';

export interface ContainerOverrides extends Partial<Omit<ContainerRecord, 'template'>> {
  readonly template?: Partial<z.input<typeof ContainerTemplate>>;
}

/** `web-1` of the app `web`, revision 1, on node `n1`. */
export function containerRecord({template, ...overrides}: ContainerOverrides = {}): ContainerRecord {
  return {
    id: 'web-1',
    namespace: 'default',
    app: 'web',
    appUid: 'uid-web',
    revision: 1,
    node: 'n1',
    generation: 1,
    ports: [],
    mode: 'replicated',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...overrides,
    template: ContainerTemplate.parse({image: 'busybox', ...template}),
  };
}

/** What the worker would ask the runtime for: the engine's name is the container's id, with no network. */
export function containerSpec(container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): RuntimeSpec {
  const record = containerRecord(container);
  return {record, name: record.id, env: {}, mounts: [], labels: {}, networks: [], ...spec};
}
