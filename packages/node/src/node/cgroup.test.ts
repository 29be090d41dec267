import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {cgroupLimits} from './cgroup.ts';

describe('the limits of the control group', () => {
  let root: string;
  beforeEach(() => {
    root = tempDir('cgroup');
  });
  afterEach(() => removeTempDir(root));

  const write = (files: Record<string, string>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), {recursive: true});
      writeFileSync(join(root, path), text);
    }
  };
  const limits = () => cgroupLimits({root, self: join(root, 'self')});

  it('version 2: the least of the group and those above it', async () => {
    write({self: '0::/system.slice/agent.service\n', 'system.slice/cpu.max': '150000 100000\n', 'system.slice/memory.max': 'max\n', 'system.slice/agent.service/cpu.max': 'max 100000\n', 'system.slice/agent.service/memory.max': '536870912\n'});
    expect(await limits()).toEqual({cpu: 1500, memory: 536_870_912});
  });

  it('version 2 in a container: the root is the group', async () => {
    write({self: '0::/\n', 'cpu.max': '50000 100000', 'memory.max': '268435456'});
    expect(await limits()).toEqual({cpu: 500, memory: 268_435_456});
  });

  it('version 1, with the path that the host knows', async () => {
    write({self: '4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n', 'cpu/cpu.cfs_quota_us': '200000', 'cpu/cpu.cfs_period_us': '100000', 'memory/memory.limit_in_bytes': '1073741824'});
    expect(await limits()).toEqual({cpu: 2000, memory: 1_073_741_824});
  });

  it('version 1 without limits says so by a huge number, and by -1', async () => {
    write({self: '4:memory:/\n1:cpu:/\n', 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000', 'memory/memory.limit_in_bytes': '9223372036854771712'});
    expect(await limits()).toEqual({cpu: Number.POSITIVE_INFINITY, memory: Number.POSITIVE_INFINITY});
  });

  it('no groups at all: no limits', async () => {
    expect(await limits()).toEqual({cpu: Number.POSITIVE_INFINITY, memory: Number.POSITIVE_INFINITY});
  });
});
