/** From ingresses and who is in rotation to HAProxy's configuration. Pure; what people wrote was checked by the contracts' schemas. */
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import {ingressPorts, type IngressRule, type MachineIngress} from '@hivemind/contracts';
import type {ServiceView} from '../../model.ts';
import {backendLines, backendName, milliseconds, rateTable} from './backend.ts';
import {withoutSlash} from './claims.ts';
import {type ByHost, byHost, isWild, type Routed as RoutedRule} from './hosts.ts';
import {NOTHING, type ProxyPlan} from './plan.ts';
import {countOf, type Server, targetKey} from './slots.ts';

export interface CompileInput {
  /** Of what was told. */
  readonly version: string;
  readonly ingresses: readonly MachineIngress[];
  /** By `namespace/name`. */
  readonly service: (key: string) => ServiceView | undefined;
  readonly before: ProxyPlan['places'];
  /** Folder of HAProxy's sockets. */
  readonly dir: string;
  /** Whom it becomes after it has opened all that it needs; undefined: nobody else. */
  readonly user: string | undefined;
  /** Lists of certificates, by port, that could be had. */
  readonly certificates: ReadonlyMap<number, string>;
  /** What else the configuration names. */
  readonly files: readonly string[];
  /** Where the configuration's own files are to be. */
  readonly folder: string;
  readonly problem: string;
}

export interface Compiled {
  readonly plan: ProxyPlan;
  /** To be there before the plan is: texts by their paths, of which each is named after what is in it. */
  readonly texts: ReadonlyMap<string, string>;
}

interface Routed extends RoutedRule {
  readonly ingress: MachineIngress;
}

const LONGEST = '24h';
/** What takes longer than this after a reload is cut off. */
const LAST_WORDS = '10m';

export function compile({version, ingresses, service, before, dir, user, certificates, files, folder, problem}: CompileInput): Compiled {
  const routed = ingresses.flatMap((ingress) => ingress.spec.rules.map((rule, index): Routed => ({ingress, rule, backend: backendName(ingress, index)})));
  const ports = listenersOf(ingresses).filter(({port, secure}) => !secure || certificates.has(port));
  if (routed.length === 0 || ports.length === 0) return {plan: {...NOTHING, version, problem}, texts: new Map()};
  const keyOf = ({ingress: {namespace}, rule}: Routed): string => targetKey({...rule, namespace});
  const servers = Object.fromEntries(routed.map((one) => [keyOf(one), serversOf(one.rule, service(`${one.ingress.namespace}/${one.rule.app}`))]));
  const places = Object.fromEntries(routed.map((one) => [one.backend, countOf(servers[keyOf(one)]?.length ?? 0, before[one.backend] ?? 0)]));
  const frontends = ports.map((listener) => {
    const own = routed.filter(({ingress}) => ingressPorts(ingress.spec).some(({port}) => port === listener.port)).toSorted(moreSpecific);
    return {listener, routed: own, hosts: byHost(own, folder)};
  });
  const texts = new Map(frontends.flatMap(({hosts}) => [...hosts.files]));
  const render = (structure: string, of: (one: Routed) => readonly Server[]): string => [
    ...globalLines(dir, user, structure),
    ...frontends.flatMap((frontend) => frontendLines(frontend, certificates.get(frontend.listener.port), {path: join(dir, `${frontend.listener.port}.sock`), user})),
    ...ingresses.flatMap(rateTable),
    ...routed.flatMap((one) => backendLines({...one, servers: of(one), places: places[one.backend] ?? 0})),
    '',
  ].join('\n');
  const structure = createHash('sha256').update(render('', () => [])).digest('base64url');
  const config = render(structure, (one) => servers[keyOf(one)] ?? []);
  return {plan: {version, config, structure, ports: ports.map(({port}) => port), servers, places, files: [...files, ...texts.keys()], problem}, texts};
}

interface Listener {
  readonly port: number;
  readonly secure: boolean;
}

function listenersOf(ingresses: readonly MachineIngress[]): readonly Listener[] {
  const all = new Map(ingresses.flatMap(({spec}) => ingressPorts(spec)).map(({port, secure}) => [port, secure]));
  return [...all].map(([port, secure]) => ({port, secure})).toSorted((a, b) => a.port - b.port);
}

/** Who is in rotation and has the port that the rule asks for. */
export function serversOf(rule: Pick<IngressRule, 'port'>, view: ServiceView | undefined): readonly Server[] {
  return (view?.endpoints ?? []).flatMap(({address, ports, weight}) => {
    const tcp = ports.filter(({protocol}) => protocol === 'tcp');
    const port = rule.port === undefined ? (tcp.length === 1 ? tcp[0]?.port : undefined) : tcp.find(({name, port: number}) => number === rule.port || name === rule.port)?.port;
    return port === undefined ? [] : [{address, port, weight}];
  });
}

function globalLines(dir: string, user: string | undefined, structure: string): readonly string[] {
  return [
    'global',
    // By which the keeper knows what runs, whoever started it.
    `  description ${structure}`,
    `  stats socket ${dir}/admin.sock mode 600 level admin expose-fd listeners`,
    '  log stdout format raw local0 info',
    `  hard-stop-after ${LAST_WORDS}`,
    '  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets',
    ...(user === undefined ? [] : [`  user ${user}`, `  group ${user}`]),
    'defaults',
    '  mode http',
    '  log global',
    '  option redispatch 1',
    // A client that sends on a connection which a reload closes this very moment would see an error: it is closed with the next answer.
    '  option idle-close-on-response',
    // How often half of the connections that were not needed of late are closed. A process from before a reload, which needs none, lets go
    // of all by this alone; the present one, with less to do, opens some anew when there is more again.
    '  default-server pool-purge-delay 1s',
    '  timeout http-request 10s',
    '  timeout http-keep-alive 60s',
    '  timeout connect 5s',
    '  timeout server 60s',
    '  timeout client 60s',
    '  timeout queue 10s',
    'frontend hivemind.metrics',
    `  bind unix@${dir}/metrics.sock mode 600`,
    '  no log',
    '  http-request use-service prometheus-exporter if { path /metrics }',
    '  http-request return status 404',
    'backend hivemind.nowhere',
    '  http-request return status 404 content-type text/plain string "No ingress is for this host and path.\\n"',
  ];
}

const ACCESS = '{"at":%[date(0,ms)],"client":"%ci","listener":"%f","rule":"%b","server":"%si:%sp","method":"%HM","host":"%[var(txn.host),json(utf8s)]","path":"%[var(txn.path),json(utf8s)]","status":%ST,"bytes":%B,"ms":%Ta,"retries":"%rc","end":"%tsc"}';

/** Where one process takes what the one before it still gets. */
interface Next {
  readonly path: string;
  /** Whose both are. */
  readonly user: string | undefined;
}

interface Frontend {
  readonly listener: Listener;
  /** All of it, the one that decides before the other. */
  readonly routed: readonly Routed[];
  readonly hosts: ByHost<Routed>;
}

function frontendLines({listener: {port, secure}, routed, hosts}: Frontend, certificates: string | undefined, next: Next): readonly string[] {
  const logs = routed.some(({ingress}) => ingress.spec.accessLog);
  const silence = Math.max(60_000, ...routed.map(({ingress}) => milliseconds(ingress.spec.timeouts.response)));
  return [
    `frontend ${secure ? 'https' : 'http'}.${port}`,
    `  bind *:${port}${secure ? ` ssl crt-list ${certificates} alpn h2,http/1.1` : ''}`,
    `  bind unix@${next.path} accept-proxy mode 600${next.user === undefined ? '' : ` user ${next.user}`}`,
    `  timeout client ${silence}ms`,
    logs ? `  log-format '${ACCESS}'` : '  no log',
    '  http-request set-var(txn.host) req.hdr(host),field(1,:),lower',
    // As it came: when it is logged, HAProxy has it no more.
    ...(logs || hosts.lines.length > 0 ? ['  http-request set-var(txn.path) path'] : []),
    ...hosts.lines,
    `  http-request set-header x-forwarded-proto ${secure ? 'https' : 'http'}`,
    // After a reload, clients ask once more on connections that they kept: by rules and containers of before, which nobody brings up to date.
    `  use_backend hivemind.next-${port} if { stopping }`,
    ...tried(hosts.others.filter(({rule}) => !isWild(rule.host))),
    ...(hosts.lines.length === 0 ? [] : ['  use_backend %[var(txn.to)] if { var(txn.to) -m found }']),
    ...tried(hosts.others.filter(({rule}) => isWild(rule.host))),
    '  default_backend hivemind.nowhere',
    `backend hivemind.next-${port}`,
    '  http-request set-log-level silent',
    // The next one has a word in this.
    `  timeout server ${LONGEST}`,
    `  timeout tunnel ${LONGEST}`,
    `  server next unix@${next.path} send-proxy-v2`,
  ];
}

/** One after the other. */
function tried(routed: readonly Routed[]): readonly string[] {
  return routed.flatMap(({rule, backend}) => conditionsOf(rule).map((condition) => `  use_backend ${backend}${condition === '' ? '' : ` if ${condition}`}`));
}

const fieldsOf = ({headers, cookies}: IngressRule): number => Object.keys(headers).length + Object.keys(cookies).length;

/** Hosts in full before those by their end, the longer before the shorter; then paths likewise; then who asks for more fields. */
function moreSpecific({rule: a, backend: first}: Routed, {rule: b, backend: second}: Routed): number {
  const order = [
    Number(isWild(a.host)) - Number(isWild(b.host)),
    (b.host?.length ?? 0) - (a.host?.length ?? 0),
    Number(a.match !== 'exact') - Number(b.match !== 'exact'),
    withoutSlash(b.path).length - withoutSlash(a.path).length,
    fieldsOf(b) - fieldsOf(a),
    first < second ? -1 : 1,
  ];
  return order.find((difference) => difference !== 0) ?? 0;
}

/** Any of them is enough; an empty one always holds. */
function conditionsOf({host, path, match, headers, cookies}: IngressRule): readonly string[] {
  const fields = [
    ...(host === undefined ? [] : [host.startsWith('*.') ? `{ var(txn.host) -m end '${host.slice(1)}' }` : `{ var(txn.host) -m str '${host}' }`]),
    ...Object.entries(headers).map(([name, value]) => `{ req.hdr(${name}) -m str '${value}' }`),
    ...Object.entries(cookies).map(([name, value]) => `{ req.cook(${name}) -m str '${value}' }`),
  ];
  const prefix = withoutSlash(path);
  const paths = match === 'exact' ? [`{ path -m str '${path}' }`] : prefix === '' ? [] : [`{ path -m str '${prefix}' }`, `{ path -m beg '${prefix}/' }`];
  return paths.length === 0 ? [fields.join(' ')] : paths.map((one) => [...fields, one].join(' '));
}
