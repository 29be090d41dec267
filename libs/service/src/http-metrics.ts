/** What a service counts about itself. Few on purpose: each costs memory in every process and a line in every scrape. */
import {Gauge, Histogram, type Registry} from 'prom-client';

export interface HttpMetrics {
  observe(method: string, route: string, status: number, seconds: number): void;
}

export function httpMetrics(registry: Registry): HttpMetrics {
  const registers = [registry];
  const name = 'hivemind_http_request_seconds';
  const existing = registry.getSingleMetric(name);
  const histogram = existing instanceof Histogram ? existing : new Histogram({
    name,
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers,
  });
  if (!existing) processMetrics(registers);
  return {observe: (method, route, status, seconds) => histogram.observe({method, route, status}, seconds)};
}

function processMetrics(registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({name, help, registers, collect() { this.set(read()); }});
  };
  gauge('process_resident_memory_bytes', 'Memory of this process in RAM.', () => process.memoryUsage.rss());
  gauge('process_heap_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed);
  gauge('process_cpu_seconds_total', 'CPU time used since the start.', () => {
    const {user, system} = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const started = Date.now() / 1000 - process.uptime();
  gauge('process_start_time_seconds', 'When this process started, Unix time.', () => started);
}
