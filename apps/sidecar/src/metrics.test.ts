import {metricsText, serveMetrics, type Vitals} from './metrics.ts';

const vitals: Vitals = {
  statistics: {health: 2, members: {alive: 3, suspect: 0, dead: 1, left: 0}, packetsIn: 10, packetsOut: 11, bytesIn: 12, bytesOut: 13, dropped: {'no-key': 4}, probes: 5, probeFailures: 1, pushPulls: 6},
  busConnected: false, residentMemory: 1024,
};

describe('metrics', () => {
  it('are in the text format of Prometheus', () => {
    const text = metricsText(vitals);
    for (const line of text.trimEnd().split('\n')) expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"\n]*"\})? \d+(\.\d+)?)$/);
    for (const line of ['hivemind_membership_members{state="dead"} 1', 'hivemind_membership_dropped_total{reason="no-key"} 4', 'hivemind_sidecar_bus_connected 0']) expect(text).toContain(`${line}\n`);
  });

  it('are served beside liveness, which says where they cannot be had', async () => {
    let now: () => Promise<Vitals> = async () => vitals;
    const server = await serveMetrics({host: '127.0.0.1', port: 0}, () => now());
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [answer.status, await answer.text()];
    };
    try {
      expect([await ask('/livez'), await ask('/metrics')]).toEqual([[200, 'ok\n'], [200, metricsText(vitals)]]);
      now = () => Promise.reject(new Error('no'));
      expect(await ask('/livez')).toEqual([503, 'not available now\n']);
    } finally {
      await server.close();
    }
  });
});
