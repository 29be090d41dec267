import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {hivemind} from '../../test/command.ts';

describe('hivemind membership', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'hivemind-cli-'))));
  afterEach(() => rmSync(dir, {recursive: true}));

  it.each([
    ['', '--name is needed'],
    ['--name n1', '--bind is needed'],
    ['--name n1 --bind here:1', '--bind here:1 is not an IP address and a port'],
    ['--name n1 --bind 127.0.0.1:0 --join a,b', '--join a is not HOST:PORT'],
    ['--name n1 --bind 127.0.0.1:0 --tag x', '--tag x is not KEY=VALUE'],
    ['--name n1 --bind 127.0.0.1:0 --bus redis://x', '--bus redis://x is not a bus'],
    ['--name n1 --bind 127.0.0.1:0 --metrics yes', '--metrics yes is not off'],
    ['--name n1 --bind 127.0.0.1:0 --key-file none.key', '--key-file'],
    ['--name n1 --bind 127.0.0.1:0 --key-file bad.key', 'bad.key: line 2 is a key of 3 bytes'],
    ['--frob', "unknown option '--frob'"],
    ['keys install bad.key', 'line 2 is a key of 3 bytes'],
    ['join', "missing required argument 'addresses'"],
  ])('`membership %s` is wrong usage, status 2', async (words, message) => {
    writeFileSync(join(dir, 'bad.key'), '# a key\nAAAA\n', {mode: 0o600});
    const {status, out, err} = await hivemind(`membership ${words} --data-dir ${dir}`, {cwd: dir, env: {HIVEMIND_LOG_LEVEL: 'silent'}});
    expect({status, out}).toEqual({status: 2, out: ''});
    expect(err).toContain(message);
  });

  it.each(['ls', 'watch', 'leave', 'stats', 'leader', 'keys ls'])('`membership %s` says where no sidecar answers, and how to start one', async (words) => {
    const {status, out, err} = await hivemind(`membership ${words} --socket none.sock`, {cwd: dir});
    expect({status, out}).toEqual({status: 1, out: ''});
    expect(err).toBe(`hivemind: No sidecar answers at ${join(dir, 'none.sock')} (ENOENT). Start one with: hivemind membership --name NAME --bind HOST:PORT --socket ${join(dir, 'none.sock')}\n`);
  });
});
