import {totalmem} from 'node:os';
import {figuresOf} from './stats.ts';

const inactive = 'inactive_file 300\nactive_file 5\n';
const files: Readonly<Record<1 | 2, Readonly<Record<string, string>>>> = {
  1: {
    'memory/memory.usage_in_bytes': '1000\n', 'memory/memory.limit_in_bytes': '8388608\n', 'memory/memory.stat': `cache 400\ninactive_file 1\ntotal_${inactive}`,
    'cpuacct/cpuacct.usage': '5000000\n', 'pids/pids.current': '3\n', 'blkio/blkio.throttle.io_service_bytes_recursive': '8:0 Read 10\n8:0 Write 20\n8:16 Read 1\nTotal 31\n',
  },
  2: {
    '/memory.current': '1000\n', '/memory.max': '8388608\n', '/memory.stat': `anon 600\n${inactive}`,
    '/cpu.stat': 'usage_usec 5000\nuser_usec 4000\n', '/pids.current': '3\n', '/io.stat': '8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n',
  },
};

const read = (version: 1 | 2, changed: Readonly<Record<string, string | undefined>> = {}) => figuresOf(version, (controller, name) => {
  const text = {...files[version], ...changed}[`${controller}/${name}`];
  return text === undefined ? Promise.reject(Object.assign(new Error(`no ${controller}/${name}`), {code: 'ENOENT'})) : Promise.resolve(text);
});

it.each([1, 2] as const)('figures come from the files of control groups, version %i', async (version) => {
  expect(await read(version)).toEqual({used: 5000, memory: 700, memoryLimit: 8_388_608, pids: 3, blockRead: 11, blockWrite: 20});
});

it('without a limit the machine is the limit; without counters of processes and blocks there are none', async () => {
  const absent = undefined;
  expect(await read(1, {'memory/memory.limit_in_bytes': '9223372036854771712\n', 'pids/pids.current': absent, 'blkio/blkio.throttle.io_service_bytes_recursive': absent})).toMatchObject({memoryLimit: totalmem(), pids: 0, blockRead: 0});
  expect(await read(2, {'/memory.max': 'max\n', '/pids.current': absent, '/io.stat': absent})).toMatchObject({memoryLimit: totalmem(), pids: 0, blockWrite: 0});
  await expect(read(2, {'/memory.current': absent})).rejects.toMatchObject({code: 'ENOENT'});
});
