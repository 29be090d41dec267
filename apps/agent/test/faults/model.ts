/** What was asked for and acknowledged, and what is asked for next. Pure. */
import type {AppSpecInput} from '@hivemind/contracts';
import type {Random} from './random.ts';

/** `plain`: several, replaceable. `single`: never two at once. `stateful`: one, with a volume. */
export type AppKind = (typeof kinds)[number];
const kinds = ['plain', 'single', 'stateful'] as const;

export interface WantedApp {
  readonly name: string;
  readonly kind: AppKind;
  readonly replicas: number;
  /** Moved by an update: its containers are replaced. */
  readonly version: number;
}

export type Operation =
  | {readonly kind: 'create'; readonly app: WantedApp}
  | {readonly kind: 'scale' | 'update'; readonly app: WantedApp}
  | {readonly kind: 'delete'; readonly name: string};

/** Names are never used twice: what becomes of a request that nobody answered cannot be taken for another one's effect. */
export interface World {
  readonly apps: ReadonlyMap<string, WantedApp>;
  readonly created: number;
}

export const emptyWorld: World = {apps: new Map(), created: 0};
const MOST_APPS = 6;
const MOST_REPLICAS = 4;

/** Names begin with it. */
export const kindOf = (name: string): AppKind => kinds.find((kind) => name.startsWith(`${kind}-`)) ?? 'plain';

export const nameOf = (operation: Operation): string => (operation.kind === 'delete' ? operation.name : operation.app.name);

/** The next change; the first three make one app of each kind. */
export function nextOperation({apps, created}: World, random: Random): Operation {
  const first = kinds[created];
  if (first !== undefined) return create(first, created, random);
  const all = [...apps.values()];
  const [plain, ...more] = all.filter(({kind}) => kind === 'plain');
  if (plain === undefined) return create('plain', created, random);
  const some = random.pick([plain, ...more]);
  const kind = random.pick(['create', 'scale', 'scale', 'update', 'update', 'delete'] as const);
  switch (kind) {
    case 'create':
      return all.length < MOST_APPS ? create('plain', created, random) : {kind: 'delete', name: some.name};
    case 'scale':
      return {kind, app: {...some, replicas: ((some.replicas + random.between(0, MOST_REPLICAS - 2)) % MOST_REPLICAS) + 1}};
    case 'update': {
      const any = random.pick([plain, ...all.filter(({name}) => name !== plain.name)]);
      return {kind, app: {...any, version: any.version + 1}};
    }
    case 'delete':
      return more.length > 0 ? {kind, name: some.name} : create('plain', created, random);
  }
}

function create(kind: AppKind, created: number, random: Random): Operation {
  return {kind: 'create', app: {name: `${kind}-${created + 1}`, kind, replicas: kind === 'plain' ? random.between(1, MOST_REPLICAS) : 1, version: 1}};
}

/** The world once an operation is acknowledged. */
export function acknowledged({apps, created}: World, operation: Operation): World {
  const next = new Map(apps);
  if (operation.kind === 'delete') next.delete(operation.name);
  else next.set(operation.app.name, operation.app);
  return {apps: next, created: created + (operation.kind === 'create' ? 1 : 0)};
}

/** What of an app may end with a change of it: all, so many, or what is older than a version. */
export type Ending = 'all' | {readonly some: number} | {readonly olderThan: number};

/** @param before the app until then; undefined: nothing ends */
export function endingOf(operation: Operation, before: WantedApp | undefined): Ending | undefined {
  switch (operation.kind) {
    case 'create':
      return undefined;
    case 'delete':
      return 'all';
    case 'update':
      return {olderThan: operation.app.version};
    case 'scale':
      return before !== undefined && operation.app.replicas < before.replicas ? {some: before.replicas - operation.app.replicas} : undefined;
  }
}

/** Of what must never run twice: s of silence after which it stops itself. */
export const FENCE_LEASE = 5;

/** Where containers keep what they did, on each machine: see history.ts. */
export const LOG_DIR = '/run/fault-log';

/**
 * It writes when it starts (whether its volume was empty, and its version), that it runs, and when it is told to stop, by a clock that all
 * machines share: they run on one kernel.
 */
const script = `
F=/log/$APP.$(hostname)
note() { read -r up _ < /proc/uptime; echo "$1 $up $2" >> $F; }
trap 'note stop; exit 0' TERM
STATE=none
if [ -d /data ]; then STATE=full; [ -e /data/seen ] || STATE=empty; : > /data/seen; fi
note start "$STATE $VERSION"
while :; do note beat; sleep 0.5 & wait $!; done`;

export function specOf({name, kind, replicas, version}: WantedApp, image: string): AppSpecInput {
  return {
    image, replicas,
    pull: {policy: 'never'},
    command: ['sh', '-c', script],
    env: {APP: name, VERSION: String(version)},
    volumes: [{host: LOG_DIR, mount: '/log'}, ...(kind === 'stateful' ? [{name: `data-${name}`, mount: '/data'}] : [])],
    stop: {signal: 'SIGTERM', grace: '2s', drain: '0s'},
    update: {healthyFor: '500ms', autoRollback: false},
    ...(kind === 'single' ? {singleton: true, fencing: {lease: `${FENCE_LEASE}s`, onIsolation: 'stop'}} : {}),
  };
}
