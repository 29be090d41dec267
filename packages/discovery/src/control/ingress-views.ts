/** What machines are told of ingress: those that each takes, with the rules that are in force. */
import {createHash} from 'node:crypto';
import {type Bus, emit} from '@hivemind/bus';
import {type getIngresses, type IngressRecord, ingressesChanged, type MachineIngress, takesIngress} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type * as z from 'zod';
import {settle, type Settled} from '../core/ingress/claims.ts';
import type {Tables} from './tables.ts';

type Page = z.infer<typeof getIngresses.reply>;
/** Characters of JSON in a page; a message takes 512 KiB. */
const PAGE = 256 * 1024;
const GATHER_MS = 10;

export class IngressViews {
  readonly #tables: Tables;
  #at = '';
  #settled: readonly Settled<IngressRecord>[] = [];
  #version = '';

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Of all that any machine is told. */
  get version(): string {
    this.#bringUp();
    return this.#version;
  }

  /** Who has what of what is claimed, the older first. */
  get settled(): readonly Settled<IngressRecord>[] {
    this.#bringUp();
    return this.#settled;
  }

  /** @param after the last key of the page before */
  page(name: string, after = ''): Page {
    const labels = this.#tables.nodes.get(name)?.value.labels ?? {};
    const ingresses: MachineIngress[] = [];
    let [size, last] = [0, ''];
    for (const {ingress: {namespace, name: own, spec}, rules} of this.settled.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
      const key = `${namespace}/${own}`;
      if (key <= after || rules.length === 0 || !takesIngress(spec, {name, labels})) continue;
      const one = {namespace, name: own, spec: {...spec, rules: [...rules]}};
      size += JSON.stringify(one).length;
      if (size > PAGE && ingresses.length > 0) return {version: this.#version, ingresses, next: last};
      ingresses.push(one);
      last = key;
    }
    return {version: this.#version, ingresses, next: null};
  }

  /** Computed once for each state of the tables. */
  #bringUp(): void {
    const {ingresses, nodes} = this.#tables;
    const at = JSON.stringify([ingresses.revision, nodes.revision]);
    if (at === this.#at) return;
    this.#settled = settle(ingresses.list().map(({value}) => value));
    const told = [this.#settled.map(({ingress: {namespace, name, spec}, rules}) => [namespace, name, {...spec, rules}]), nodes.list().map(({key, value}) => [key, value.labels])];
    this.#version = createHash('sha256').update(JSON.stringify(told)).digest('base64url').slice(0, 22);
    this.#at = at;
  }
}

const keyOf = ({ingress: {namespace, name}}: Settled<IngressRecord>): string => `${namespace}/${name}`;

/** Tells every machine that something is otherwise, as the one who leads; answers how to stop. Who misses it asks by itself, later. */
export function tellOfIngresses({bus, tables, views, held, clock, logger}: {readonly bus: Bus; readonly tables: Tables; readonly views: IngressViews; readonly held: () => boolean; readonly clock: Clock; readonly logger: Pick<Logger, 'debug'>}): () => void {
  let told: string | undefined;
  let cancel: (() => void) | undefined;
  const tell = (): void => {
    cancel = undefined;
    const {version} = views;
    if (held() || version === told) return;
    told = version;
    emit(bus, ingressesChanged, {}, {version}).catch((err: unknown) => logger.debug({err}, 'the machines could not be told of ingresses; they ask by themselves'));
  };
  const soon = (): void => void (cancel ??= clock.setTimer(tell, GATHER_MS));
  const stops = [tables.ingresses.onChange(soon), tables.nodes.onChange(soon), tables.adoption.onChange(soon)];
  soon();
  return () => {
    cancel?.();
    for (const stop of stops) stop();
  };
}
