import {NodeReport} from '@hivemind/contracts';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {defaultNodeName, machineFacts} from './facts.ts';

describe('the facts of the machine', () => {
  it('are what a report takes, with real amounts', async () => {
    const dataDir = tempDir('facts');
    const facts = await machineFacts({dataDir, address: '10.1.2.3', labels: {zone: 'a'}});
    const parsed = NodeReport.parse({...facts, runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0'});
    expect(parsed.capacity.cpu).toBeGreaterThanOrEqual(1);
    expect(parsed.capacity.memory).toBeGreaterThan(1e7);
    expect(parsed.capacity.disk).toBeGreaterThan(parsed.capacity.diskFree ?? 0);
    expect(parsed.labels).toMatchObject({zone: 'a', 'hivemind.io/os': 'linux'});
    expect(parsed.address).toBe('10.1.2.3');
    await removeTempDir(dataDir);
  });

  it('give the node a name that is a DNS label', () => {
    expect(defaultNodeName()).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });
});
