/** The units of deploy/systemd are units, and start commands that there are, with the exit statuses that those have. */
import {spawnSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {branches} from '../src/branches.ts';
import {NODE_REMOVED, WRONG_USAGE} from '../src/errors.ts';
import {buildProgram} from '../src/program.ts';
import {Command} from './command.ts';

const root = resolve(import.meta.dirname, '../../..');
const directory = join(root, 'deploy/systemd');
const files = readdirSync(directory).toSorted();
const texts = new Map(files.map((file) => [file, readFileSync(join(directory, file), 'utf8')]));

/** Every key that the units use, by section: another one is a slip, or to be added here with a look at systemd's manual. */
const keys: Readonly<Record<string, string>> = {
  Unit: 'Description Wants After Conflicts StartLimitIntervalSec ConditionPathExists',
  Service: 'Type User Environment EnvironmentFile ExecStart ExecStartPost ExecReload StateDirectory StateDirectoryMode KillMode TimeoutStopSec Restart RestartSec '
    + 'RestartPreventExitStatus OOMPolicy OOMScoreAdjust LimitNOFILE TasksMax NoNewPrivileges ProtectSystem ProtectHome PrivateTmp PrivateDevices',
  Timer: 'OnCalendar Persistent RandomizedDelaySec',
  Install: 'WantedBy',
};

interface Line {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

function linesOf(file: string): Line[] {
  let section = '';
  return (texts.get(file) ?? '').split('\n').flatMap((line) => {
    const head = /^\[(\w+)\]$/.exec(line);
    if (head) section = head[1] ?? '';
    if (head || line === '' || line.startsWith('#')) return [];
    const [, key, value] = /^(\w+)=(.+)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`${file}: "${line}" is no line of a unit`);
    return [{section, key, value}];
  });
}

const valuesOf = (file: string, wanted: string): string[] => linesOf(file).filter(({key}) => key === wanted).map(({value}) => value);
const commands = files.flatMap((file) => valuesOf(file, 'ExecStart').filter((line) => line.startsWith('/usr/local/bin/hivemind ')).map((line) => [file, line] as const));

it.each(files)('%s has keys that systemd knows, in their sections, and is told of in the docs', (file) => {
  for (const {section, key} of linesOf(file)) expect((keys[section] ?? '').split(' ')).toContain(key);
  expect(readFileSync(join(root, 'docs/operations.md'), 'utf8')).toContain(file.replace(/@?\.service$/, ''));
});

it('is what systemd itself takes, where it is installed', async () => {
  const dir = tempDir('units');
  try {
    mkdirSync(join(dir, 'units'));
    // An instance of the template; programs that are not installed here are none of systemd's business.
    const paths = files.map((file) => join(dir, 'units', file.replace('@.', '@app.')));
    for (const [index, file] of files.entries()) writeFileSync(paths[index] ?? '', (texts.get(file) ?? '').replaceAll(/(?<=^Exec\w+=\+?)\/\S+/gm, process.execPath));
    const {error, stderr, status} = spawnSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...paths], {encoding: 'utf8'});
    expect(error === undefined ? {status, stderr} : {status: 0, stderr: ''}).toEqual({status: 0, stderr: ''});
  } finally {
    await removeTempDir(dir);
  }
});

it.each(commands)('%s starts a command that there is: %s', async (_file, line) => {
  let command = await buildProgram(branches, undefined, {terminal: new Command(), exit: () => undefined});
  const words = line.split(' ').slice(1).filter((word) => !word.startsWith('$'));
  for (let next = command.commands.find((child) => child.name() === words[0]); next; next = command.commands.find((child) => child.name() === words[0])) {
    command = next;
    words.shift();
  }
  expect(command.name()).not.toBe('hivemind');
  expect(words.length).toBeLessThanOrEqual(command.registeredArguments.length);
  expect(command.registeredArguments.filter(({required}) => required).length).toBeLessThanOrEqual(words.length);
});

it('an agent is started again but where its machine was removed, and leaves the sidecar', () => {
  const agent = 'hivemind-agent.service';
  expect(valuesOf(agent, 'RestartPreventExitStatus')).toEqual([`${WRONG_USAGE} ${NODE_REMOVED}`]);
  for (const file of [agent, 'hivemind.service']) expect([valuesOf(file, 'KillMode'), valuesOf(file, 'Restart'), valuesOf(file, 'OOMPolicy')]).toEqual([['process'], ['always'], ['continue']]);
  for (const file of commands.map(([name]) => name)) expect(valuesOf(file, 'RestartPreventExitStatus')[0]?.split(' ')).toContain(String(WRONG_USAGE));
});

it('the certificate of the bus is renewed each week, where nats-server reads it, which is told', () => {
  expect(valuesOf('hivemind-bus-config.timer', 'OnCalendar')).toEqual(['weekly']);
  const dir = /^\S+ bus config (\S+) /.exec(valuesOf('hivemind-bus-config.service', 'ExecStart')[0] ?? '')?.[1];
  expect(valuesOf('hivemind-nats.service', 'ExecStart')).toEqual([`/usr/sbin/nats-server -c ${dir}/nats.conf`]);
  expect(valuesOf('hivemind-bus-config.service', 'ExecStartPost')[0]).toMatch(/^\+.*reload.* hivemind-nats\.service$/);
  expect(valuesOf('hivemind-nats.service', 'ExecReload')[0]).toContain('-HUP');
});
