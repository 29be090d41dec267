import {metricsText, serveMetrics, type Vitals} from './metrics.ts';

const vitals: Vitals = {
  statistics: {health: 2, members: {alive: 3, suspect: 0, dead: 1, left: 0}, packetsIn: 10, packetsOut: 11, bytesIn: 12, bytesOut: 13, dropped: {'no-key': 4}, probes: 5, probeFailures: 1, pushPulls: 6},
  tenants: {membership: {running: true, restarts: 2}}, busConnected: false, residentMemory: 1024,
};

describe('metrics', () => {
  it('are in the text format of Prometheus', () => {
    const text = metricsText(vitals);
    for (const line of text.trimEnd().split('\n')) expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"\n]*"\})? \d+(\.\d+)?)$/);
    for (const line of ['hivemind_membership_members{state="dead"} 1', 'hivemind_membership_dropped_total{reason="no-key"} 4', 'hivemind_sidecar_bus_connected 0', 'hivemind_sidecar_tenant_restarts_total{tenant="membership"} 2']) expect(text).toContain(`${line}\n`);
  });

  it('go on without those of a tenant that is being started again, and liveness says so', async () => {
    const server = await serveMetrics({host: '127.0.0.1', port: 0}, async () => ({statistics: undefined, tenants: {membership: {running: false, restarts: 3}}, residentMemory: 1}));
    try {
      const live = await fetch(`http://127.0.0.1:${server.port}/livez`);
      expect([live.status, await live.text()]).toEqual([503, 'being started again: membership\n']);
      const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
      expect(text).toContain('hivemind_sidecar_tenant_up{tenant="membership"} 0\n');
      expect(text).not.toContain('hivemind_membership_');
    } finally {
      await server.close();
    }
  });
});
