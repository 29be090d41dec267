/** `hivemind node drain|maintenance|taint|rm|fence|brake`: emptying machines, and giving them up. */
import {setTimeout as pause} from 'node:timers/promises';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {DrainView, NodeView as Node} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {durationFlag, type Flag, type Host, leaf, noArgs, oneArg} from './define.ts';

const LOOK_AGAIN_MS = 500;
const waiting = {wait: z.boolean().default(false), timeout: durationFlag.prefault('10m')};
const waitFlags: readonly Flag[] = [['--wait', 'until nothing is left that can move, telling what it waits for'], ['--timeout <time>', 'for --wait; default 10m']];
const deadline = z.string().regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'is not a duration: write it as in 5m').optional();
const deadlineFlag: Flag = ['--deadline <time>', 'stop what is left after so long, ready elsewhere or not; default: wait'];
const Removal = z.object({volumes: z.array(z.string()).default([])});
const Brake = z.object({engaged: z.boolean(), message: z.string()});

export function registerLife(node: Command, host: Host): void {
  leaf(node, host, {
    use: 'drain <node>', summary: 'Move what runs there elsewhere; each container stops when another is ready. uncordon calls it off',
    example: ['node drain n1 --wait', 'node drain n1 --deadline 5m --stop-local'], args: oneArg,
    flags: [deadlineFlag, ['--stop-local', 'stop users of local volumes too; they wait for uncordon'], ...waitFlags],
    options: z.object({deadline, stopLocal: z.boolean().default(false), ...waiting}),
    async run(session, [name], {deadline: within, stopLocal, wait, timeout}) {
      const {raw} = await session.api.post(path`/nodes/${name}/drain`, Node, undefined, {stopLocal, ...(within === undefined ? {} : {deadline: within})});
      if (wait) await waitForDrain(session, name, timeout);
      await session.output.one(raw, () => `node/${name} ${wait ? 'drained' : 'draining'}\n`);
    },
  });
  leaf(node, host, {
    use: 'maintenance <node>', summary: 'Empty it of everything, users of local volumes and global apps included', example: ['node maintenance n1 --wait', 'node maintenance n1 --off'], args: oneArg,
    flags: [['--off', 'it takes containers again'], deadlineFlag, ...waitFlags], options: z.object({off: z.boolean().default(false), deadline, ...waiting}),
    async run(session, [name], {off, deadline: within, wait, timeout}) {
      const {raw} = await session.api.post(path`/nodes/${name}/maintenance`, Node, undefined, {enabled: !off, ...(within === undefined ? {} : {deadline: within})});
      if (wait && !off) await waitForDrain(session, name, timeout);
      await session.output.one(raw, () => `node/${name} ${off ? 'takes containers again' : 'in maintenance'}\n`);
    },
  });
  registerTaint(node, host);
  registerEnds(node, host);
}

function registerTaint(node: Command, host: Host): void {
  leaf(node, host, {
    use: 'taint <node> <taints...>', summary: 'Keep containers away that do not tolerate it: KEY[=VALUE]:EFFECT; KEY[:EFFECT]- removes. Effects: NoSchedule, PreferNoSchedule, NoExecute',
    example: ['node taint n1 gpu=a100:NoSchedule', 'node taint n1 gpu-'], args: z.tuple([z.string(), z.array(z.string())]), options: z.object({}),
    async run(session, [name, texts]) {
      const changes = texts.map(taintOf);
      for (const {remove, key, value, effect} of changes) {
        if (remove) await session.api.call('DELETE', path`/nodes/${name}/taints`, Node, {query: {key, effect}});
        else await session.api.post(path`/nodes/${name}/taints`, Node, undefined, {key, effect, ...(value === undefined ? {} : {value})});
      }
      const {raw} = await session.api.get(path`/nodes/${name}`, Node);
      await session.output.one(raw, () => `node/${name} tainted\n`);
    },
  });
}

interface TaintChange {
  readonly remove: boolean;
  readonly key: string;
  readonly value: string | undefined;
  readonly effect: string | undefined;
}

/** @throws `wrong-usage` */
export function taintOf(text: string): TaintChange {
  const [, key = '', value, effect, minus] = /^([^=:]+?)(?:=([^:]*))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?(-)?$/.exec(text) ?? [];
  const remove = minus !== undefined;
  if (key === '' || (!remove && effect === undefined)) throw cliErrors['wrong-usage'](`${text} is neither KEY[=VALUE]:EFFECT nor KEY[:EFFECT]-; effects are NoSchedule, PreferNoSchedule and NoExecute`);
  return {remove, key, value, effect};
}

function registerEnds(node: Command, host: Host): void {
  leaf(node, host, {
    use: 'rm <node>', summary: 'Forget a machine: one that is empty, or not heard any more', example: ['node rm n1', 'node rm n1 --force'], args: oneArg,
    flags: [['--force', 'though it is heard, and runs containers']], options: z.object({force: z.boolean().default(false)}),
    async run(session, [name], {force}) {
      const {raw, data} = await session.api.call('DELETE', path`/nodes/${name}`, Removal, {query: force ? {force: 'true'} : {}});
      await session.output.one(raw, () => `node/${name} removed\n`);
      if (data.volumes.length > 0) session.output.note(`The data of ${data.volumes.join(', ')} is on it: hivemind volume abandon gives that up.`);
    },
  });
  leaf(node, host, {
    use: 'fence <node>', summary: 'Vouch that a machine is off, so that what must never run twice starts elsewhere', example: 'node fence n1 --confirm-dead', args: oneArg,
    flags: [['--confirm-dead', 'you have seen to it that the machine is off, or reaches nothing']], options: z.object({confirmDead: z.boolean().default(false)}),
    async run(session, [name], {confirmDead}) {
      if (!confirmDead) throw cliErrors['wrong-usage'](`say that ${name} is off: --confirm-dead. If it is not, what must never run twice will`);
      const {raw} = await session.api.post(path`/nodes/${name}/fence`, Node, undefined, {confirmDead});
      await session.output.one(raw, () => `node/${name} fenced\n`);
    },
  });
  leaf(node, host, {
    use: 'brake', summary: 'Whether replacement is paused because many machines went at once', example: ['node brake', 'node brake --release'], args: noArgs,
    flags: [['--release', 'put what they ran elsewhere now']], options: z.object({release: z.boolean().default(false)}),
    async run(session, _args, {release}) {
      const {raw, data} = await session.api.call(release ? 'DELETE' : 'GET', '/nodes/brake', Brake);
      await session.output.one(raw, () => (data.engaged ? `replacement is paused: ${data.message}\n` : 'replacement is not paused\n'));
    },
  });
}

/** @throws `not-done`, with what is left and why; `failed` when it was called off */
async function waitForDrain(session: Session, name: string, timeoutMs: number): Promise<void> {
  const deadlineAt = session.terminal.now() + timeoutMs;
  let shown = '';
  for (;;) {
    const {data} = await session.api.get(path`/nodes/${name}`, Node);
    const {drain} = data.status;
    if (drain === undefined) throw cliErrors.failed(`The drain of ${name} was called off.`);
    if (drain.done) return;
    const text = `${name}: ${drain.total} left`;
    if (text !== shown) session.output.note(`  ${text}`);
    shown = text;
    if (session.terminal.now() >= deadlineAt) {
      const {data: why} = await session.api.get(path`/nodes/${name}/drain`, DrainView);
      throw cliErrors['not-done'](`Not drained after ${timeoutMs / 1000} s; it goes on:\n${why.blocked.map(({namespace, container, message}) => `  ${namespace}/${container}: ${message}`).join('\n')}`);
    }
    await pause(LOOK_AGAIN_MS);
  }
}
