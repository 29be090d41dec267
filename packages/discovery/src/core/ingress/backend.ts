/** A rule's part of HAProxy's configuration: how requests are spread over its containers, and what is done where one errs. Pure. */
import {durationMs, type IngressRule, type MachineIngress} from '@hivemind/contracts';
import {placeName, type Server} from './slots.ts';

/** Labels have no dots, so that no two rules have one. */
export const backendName = ({namespace, name}: Pick<MachineIngress, 'namespace' | 'name'>, rule: number): string => `${namespace}.${name}.${rule}`;
const tableName = ({namespace, name}: Pick<MachineIngress, 'namespace' | 'name'>): string => `rate.${namespace}.${name}`;

const strategies = {'least-connections': 'leastconn', 'round-robin': 'roundrobin', random: 'random', 'ip-hash': 'source'} as const;
const retryWords = {connect: 'conn-failure', empty: 'empty-response', timeout: 'response-timeout', 500: '500', 502: '502', 503: '503', 504: '504'} as const;

/** Clients whose requests are counted at a time; the oldest is forgotten for a new one. */
const MOST_CLIENTS = 100_000;

export function rateTable(ingress: MachineIngress): readonly string[] {
  const {rateLimit} = ingress.spec;
  if (rateLimit === undefined) return [];
  const per = text(rateLimit.per);
  return [`backend ${tableName(ingress)}`, `  stick-table type ipv6 size ${MOST_CLIENTS} expire ${per} store http_req_rate(${per})`];
}

export interface BackendInput {
  readonly ingress: MachineIngress;
  readonly rule: IngressRule;
  readonly backend: string;
  readonly servers: readonly Server[];
  /** At least as many as there are servers. */
  readonly places: number;
}

export function backendLines({ingress, rule, backend, servers, places}: BackendInput): readonly string[] {
  const {balance, affinity, retries, timeouts, breaker, rateLimit, redirectHttps, listen, accessLog} = ingress.spec;
  const table = tableName(ingress);
  const retried = retries.on.map((reason) => retryWords[reason]);
  return [
    `backend ${backend}`,
    `  balance ${strategies[balance]}`,
    ...(balance === 'ip-hash' ? ['  hash-type consistent'] : []),
    // From a container's address: it is the same on every machine, and wherever the container has its place.
    ...(affinity === undefined ? [] : [`  cookie ${affinity.cookie} insert indirect nocache httponly dynamic`, `  dynamic-cookie-key ${backend}`]),
    `  retries ${retries.attempts}`,
    `  retry-on ${retried.join(' ')}`,
    `  timeout connect ${text(timeouts.connect)}`,
    `  timeout server ${text(timeouts.response)}`,
    `  timeout tunnel ${text(timeouts.tunnel)}`,
    ...(accessLog ? [] : ['  http-request set-log-level silent']),
    ...(rateLimit === undefined ? [] : [
      `  http-request track-sc0 src table ${table}`,
      `  http-request deny deny_status 429 hdr retry-after ${Math.max(1, Math.ceil(durationMs(rateLimit.per) / 1000))} if { sc_http_req_rate(0,${table}) gt ${rateLimit.requests} }`,
    ]),
    ...(redirectHttps ? [`  http-request redirect location https://%[var(txn.host)]${listen.https === 443 ? '' : `:${listen.https}`}%[pathq] code 308 unless { req.hdr(x-forwarded-proto) -m str https }`] : []),
    ...(retried.every((word) => word === 'conn-failure') ? [] : ['  http-request disable-l7-retry unless { method GET HEAD OPTIONS }']),
    '  option forwardfor',
    ...(breaker?.probe === undefined ? [] : ['  option httpchk', `  http-check send meth GET uri '${breaker.probe}'${rule.host === undefined || rule.host.startsWith('*') ? '' : ` ver HTTP/1.1 hdr host ${rule.host}`}`, '  http-check expect status 200-399']),
    ...(breaker === undefined ? [] : [`  default-server check observe layer7 error-limit ${breaker.errors} on-error mark-down inter ${text(breaker.eject)} fall 3 rise 1 slowstart ${text(breaker.eject)}`]),
    ...(rule.protocol === 'h2c' ? [`  default-server proto h2${breaker === undefined ? '' : ' check-proto h2'}`] : []),
    ...Array.from({length: places}, (_, index) => `  server ${placeName({...rule, namespace: ingress.namespace}, index)} ${standing(servers[index])}`),
  ];
}

const standing = (server: Server | undefined): string => (server === undefined ? '0.0.0.0:1 disabled' : `${server.address}:${server.port} weight ${server.weight}`);

const text = (duration: string): string => `${milliseconds(duration)}ms`;

export const milliseconds = (duration: string): number => Math.max(1, Math.round(durationMs(duration)));
