import {readFile, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {WireGuardKey} from '@hivemind/contracts';
import {tempDir} from '@hivemind/testkit';
import {MachineKey} from './wireguard.ts';

describe('a machine\'s key', () => {
  let path: string;
  beforeEach(() => {
    path = join(tempDir('wireguard-key'), 'agent', 'wireguard.key');
  });

  it('is made once, and kept where only its owner reads', async () => {
    const [first, again] = await Promise.all([new MachineKey(path)].flatMap((key) => [key.pair(), key.pair()]));
    expect(again).toEqual(first);
    expect(WireGuardKey.parse(first!.publicKey)).not.toBe(first!.privateKey);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await new MachineKey(path).pair()).toEqual(first);
  });

  it('is another one where what was kept is none', async () => {
    const first = await new MachineKey(path).pair();
    await writeFile(path, 'torn');
    const second = await new MachineKey(path).pair();
    expect(second.publicKey).not.toBe(first.publicKey);
    expect(await readFile(path, 'utf8')).toContain('PRIVATE KEY');
  });

  it('is none where it cannot be kept', async () => {
    const below = join(path, 'below');
    await new MachineKey(path).pair();
    await expect(new MachineKey(below).pair()).rejects.toThrow();
  });
});
