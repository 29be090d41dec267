/**
 * A story of a ring as text, for a person to review: commands, one a line, and after `----` what came of them.
 *
 *   ring members=4 seed=1            machine-0 to machine-3, who know each other
 *   run MS                           time goes on
 *   kill I | restart I by J | pause I MS | leave I | meta I TEXT | add NAME by J | join I by J | announce I TOPIC VERSION
 *   cut I J | heal                   neither hears the other; every link is whole again
 *   packets on | packets off         datagrams are told too
 */
import type {PacketMessage} from '../core/messages.ts';
import type {ProtocolEvent} from '../core/protocol.ts';
import {SimulatedRing} from './ring.ts';

const border = '\n----\n';

/** The commands alone. */
export function commandsOf(text: string): string {
  return text.split(border)[0]?.trimEnd() ?? '';
}

/** The commands and what came of them. */
export function play(commands: string): string {
  const story = new Story();
  for (const line of commands.split('\n')) if (line.trim() !== '' && !line.startsWith('#')) story.obey(line.trim());
  return `${commands}${border}${story.told.join('\n')}\n`;
}

class Story {
  readonly told: string[] = [];
  #ring: SimulatedRing | undefined;
  #packets = false;
  readonly #cuts: (readonly [number, number])[] = [];

  obey(line: string): void {
    const [command = '', ...words] = line.split(/\s+/);
    if (command === 'ring') return this.#begin(Object.fromEntries(words.map((word) => word.split('='))));
    const number = (at: number): number => Number(words[at]);
    const ring = this.#ring;
    if (!ring) throw new Error('the first command is ring');
    if (command !== 'run') this.told.push(`${stamp(ring.now)}> ${line}`);
    switch (command) {
      case 'run': return ring.run(number(0));
      case 'kill': return ring.kill(number(0));
      case 'restart': return ring.restart(number(0), [number(2)]);
      case 'pause': return ring.pause(number(0), number(1));
      case 'leave': return ring.act(number(0), (core, now) => core.leave(now));
      case 'meta': return ring.act(number(0), (core, now) => core.setMetadata(now, new TextEncoder().encode(words[1])));
      case 'add': return ring.join(ring.add(words[0]).index, number(2));
      case 'join': return ring.join(number(0), number(2));
      case 'announce':
        return ring.act(number(0), (core, now) => core.announce(now, {topic: words[1] ?? '', version: number(2), payload: new Uint8Array(0)}));
      case 'cut': return void this.#cuts.push([number(0), number(1)]);
      case 'heal': return void this.#cuts.splice(0);
      case 'packets': return void (this.#packets = words[0] === 'on');
      default: throw new Error(`no such command: ${line}`);
    }
  }

  #begin({members = '4', seed = '1'}: Record<string, string>): void {
    const ring: SimulatedRing = new SimulatedRing({
      seed: Number(seed), members: Number(members),
      onEvent: (observer, event, now) => this.told.push(`${stamp(now)}${observer.name} (${observer.index}): ${tell(event)}`),
      tap: (from, to, messages) => {
        if (this.#packets) this.told.push(`${stamp(ring.now)}  ${from} → ${to}: ${messages.map(show).join(' + ')}`);
      },
    });
    ring.reaches = (from, to) => !this.#cuts.some(([a, b]) => (a === from.index && b === to.index) || (b === from.index && a === to.index));
    this.#ring = ring;
  }
}

const stamp = (now: number): string => now.toFixed(2).padStart(9) + ' ';

function tell(event: ProtocolEvent): string {
  if ('member' in event) return `${event.member.name} ${event.type}, incarnation ${event.member.incarnation}`;
  switch (event.type) {
    case 'name-conflict': return `${event.name} is claimed by ${event.claimed.host}, and is ${event.known.host}`;
    case 'announced': return `${event.announcement.topic} is of version ${event.announcement.version}`;
    case 'refuted': return `refutes, incarnation ${event.incarnation}`;
    case 'paused': return `stood still for ${event.ms.toFixed(0)} ms`;
  }
}

function show(message: PacketMessage): string {
  switch (message.type) {
    case 'ping': return `ping ${message.target}`;
    case 'indirect-ping': return `ping ${message.target} for me`;
    case 'ack': return 'ack';
    case 'nack': return 'nack';
    case 'suspect': return `${message.from} suspects ${message.name} ${message.incarnation}`;
    case 'dead': return `${message.from} says ${message.name} ${message.incarnation} is ${message.from === message.name ? 'leaving' : 'dead'}`;
    case 'alive': return `${message.claim.name} ${message.claim.incarnation} is alive`;
    case 'user': return 'announcement';
  }
}
