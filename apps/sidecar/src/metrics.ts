/** Liveness and Prometheus metrics over HTTP, on loopback as a rule. */
import {once} from 'node:events';
import {createServer, request as ask, type Server, type ServerResponse} from 'node:http';
import type {NamesVitals} from './dns/parts.ts';
import type {ProxyState} from '@hivemind/discovery/ingress';
import type {MemberStatistics} from '@hivemind/membership/model';

export interface Vitals {
  readonly statistics: MemberStatistics;
  /** Undefined where names are not answered. */
  readonly names?: NamesVitals | undefined;
  readonly ingress?: ProxyState | undefined;
  /** Absent: there is no bus. */
  readonly busConnected?: boolean;
  /** Bytes. */
  readonly residentMemory: number;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Prometheus' text format, version 0.0.4. */
export function metricsText({statistics, names, ingress, busConnected, residentMemory}: Vitals): string {
  const one = (value: number): readonly Sample[] => [[{}, value]];
  const by = (label: string, values: Readonly<Record<string, number>>): readonly Sample[] => Object.entries(values).map(([name, value]) => [{[label]: name}, value]);
  return [
    family('hivemind_sidecar_bus_connected', 'gauge', 'Whether the bus is there.', busConnected === undefined ? [] : one(Number(busConnected))),
    family('process_resident_memory_bytes', 'gauge', 'Resident memory of the process.', one(residentMemory)),
    ...(ingress === undefined || ingress.version === '' ? [] : [
      family('hivemind_ingress_running', 'gauge', 'Whether HAProxy runs here. Its own metrics are at /metrics/ingress.', one(Number(ingress.running))),
      family('hivemind_ingress_problem', 'gauge', 'Whether something of ingress is not as it was told.', one(Number(ingress.problem !== ''))),
    ]),
    ...ofMembership(statistics, one, by),
    ...(names ? ofNames(names, one, by) : []),
  ].join('');
}

function ofMembership(statistics: MemberStatistics, one: (value: number) => readonly Sample[], by: (label: string, values: Readonly<Record<string, number>>) => readonly Sample[]): readonly string[] {
  const {health, members, packetsIn, packetsOut, bytesIn, bytesOut, dropped, probes, probeFailures, pushPulls} = statistics;
  return [
    family('hivemind_membership_health_score', 'gauge', 'Local health: 0 is well, 8 is worst.', one(health)),
    family('hivemind_membership_members', 'gauge', 'Members by state, as this machine sees them.', by('state', members)),
    family('hivemind_membership_packets_total', 'counter', 'Datagrams.', by('direction', {in: packetsIn, out: packetsOut})),
    family('hivemind_membership_bytes_total', 'counter', 'Bytes of datagrams and streams.', by('direction', {in: bytesIn, out: bytesOut})),
    family('hivemind_membership_dropped_total', 'counter', 'Packets thrown away, by reason.', by('reason', dropped)),
    family('hivemind_membership_probes_total', 'counter', 'Members probed.', one(probes)),
    family('hivemind_membership_probe_failures_total', 'counter', 'Probes that nobody answered.', one(probeFailures)),
    family('hivemind_membership_push_pulls_total', 'counter', 'Whole views exchanged.', one(pushPulls)),
  ];
}

function ofNames({counters: {queries, ...results}, listening, services, cached}: NamesVitals, one: (value: number) => readonly Sample[], by: (label: string, values: Readonly<Record<string, number>>) => readonly Sample[]): readonly string[] {
  return [
    family('hivemind_names_queries_total', 'counter', 'Queries for names.', one(queries)),
    family('hivemind_names_results_total', 'counter', 'What became of queries: own are the cluster\'s, kept and forwarded are others\', the rest was not answered as wished.', by('result', results)),
    family('hivemind_names_listening', 'gauge', 'Whether names can be asked for at an address.', by('address', Object.fromEntries(Object.entries(listening).map(([address, there]) => [address, Number(there)])))),
    family('hivemind_names_services', 'gauge', 'Services that are known.', one(services)),
    family('hivemind_names_cached', 'gauge', 'Replies of other resolvers that are kept.', one(cached)),
  ];
}

function family(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => {
    const inside = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`).join(',');
    return `${name}${inside === '' ? '' : `{${inside}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

export interface MetricsServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What HAProxy tells of itself, passed on. */
function passOn(socketPath: string | undefined, response: ServerResponse): void {
  const absent = (): void => void response.writeHead(503, {'content-type': 'text/plain; charset=utf-8'}).end('HAProxy does not run here\n');
  if (socketPath === undefined) return absent();
  const question = ask({socketPath, path: '/metrics', timeout: 5_000}, (answer) => {
    response.writeHead(answer.statusCode ?? 502, {'content-type': answer.headers['content-type'] ?? 'text/plain'});
    answer.pipe(response);
  });
  question.once('timeout', () => question.destroy(new Error('no answer')));
  question.once('error', () => (response.headersSent ? response.destroy() : absent()));
  question.end();
}

/** Serves `/livez`, `/metrics` and, of HAProxy at `ingressSocket`, `/metrics/ingress`. Rejects as `listen` of node:net does. */
export async function serveMetrics({host, port}: {readonly host: string; readonly port: number}, vitals: () => Promise<Vitals>, ingressSocket: () => string | undefined = () => undefined): Promise<MetricsServer> {
  const server = createServer({requestTimeout: 10_000, headersTimeout: 10_000}, (request, response) => {
    const path = request.url?.split('?', 1)[0];
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => void response.writeHead(status, {'content-type': type, ...(status === 405 ? {allow: 'GET, HEAD'} : {})}).end(text);
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'GET /livez or /metrics\n');
    if (path === '/metrics/ingress') return passOn(ingressSocket(), response);
    if (path !== '/livez' && path !== '/metrics') return answer(404, 'There is /livez, /metrics and /metrics/ingress\n');
    vitals().then(
      (now) => {
        if (path === '/metrics') answer(200, metricsText(now), 'text/plain; version=0.0.4; charset=utf-8');
        else answer(200, 'ok\n');
      },
      () => answer(503, 'not available now\n'),
    );
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {host, port: portOf(server), close: () => close(server)};
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
