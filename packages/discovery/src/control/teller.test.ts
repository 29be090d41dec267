import {createEmbeddedBus, listen} from '@hivemind/bus';
import {type NameItem, namesChanged} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {pino} from 'pino';
import {takesOut} from '../core/applied.ts';
import {Application} from '../node/application.ts';
import {Rotation} from '../node/rotation.ts';
import {tellMachines, type Telling} from './teller.ts';

const EPOCH = 'e1';
const never = new AbortController().signal;

/** What is told of the store, written by the test. */
class FakeFeed {
  at = {epoch: EPOCH, n: 1};
  readonly #items = new Map<string, NameItem>();
  readonly #listeners = new Set<(id: string) => void>();

  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  item(id: string): NameItem {
    const item = this.#items.get(id);
    if (!item) throw new Error(`there is no ${id}`);
    return item;
  }

  endpoint(key: string, node: string, ready: boolean): void {
    this.at = {...this.at, n: this.at.n + 1};
    this.#items.set(key, {kind: 'endpoint', key, value: {namespace: 'shop', service: 'web', node, address: '10.244.1.2', ports: [], revision: 1, ready}});
    for (const listener of this.#listeners) listener(key);
  }
}

/** A machine's own bookkeeping; `isStuck`: its kernel takes no change. */
class Machine {
  readonly application: Application;
  readonly rotation: Rotation;
  readonly words: (number | null)[] = [];
  isStuck = false;
  readonly #name: string;
  #at = {epoch: '', n: 0};

  constructor(name: string, clock: FakeClock, random: () => number, telling: () => Telling) {
    this.#name = name;
    this.rotation = new Rotation({node: name, clock});
    this.application = new Application({clock, random, say: (word) => {
      this.words.push(word.n);
      telling().heard(name, word);
    }});
    this.application.use('balances', true);
  }

  hear({epoch, to, items = [], everywhere}: {epoch: string; to: number; items?: readonly NameItem[] | undefined; everywhere?: Parameters<Rotation['heard']>[1]}): void {
    const first = this.#at.epoch === '';
    this.#at = {epoch, n: to};
    this.application.told(this.#at, {changed: first || items.length > 0, out: first || takesOut(items)});
    this.rotation.told(items, first, this.#at);
    if (!this.isStuck) this.application.applied('balances', this.#at);
    this.rotation.heard(epoch, everywhere);
    if (everywhere) this.application.heard(everywhere, this.#name);
  }
}

async function cluster(count: number) {
  const clock = new FakeClock();
  const bus = createEmbeddedBus();
  const feed = new FakeFeed();
  const unready = new Set<string>();
  let seed = 1;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const leader: {telling?: Telling} = {};
  const machines = Array.from({length: count}, (_, index) => new Machine(`m${index}`, clock, random, () => {
    if (!leader.telling) throw new Error('nobody listens');
    return leader.telling;
  }));
  let told = 0;
  await listen(bus, namesChanged, {}, (message) => {
    told += 1;
    for (const machine of machines) machine.hear(message);
  });
  const telling = (leader.telling = tellMachines({bus, feed, held: () => false, by: 'leader 1', isReady: (node) => !unready.has(node), clock, logger: pino({level: 'silent'})}));
  await clock.advance(2_000);
  return {
    clock, feed, unready, telling, machines,
    told: () => told,
    said: () => machines.reduce((sum, {words}) => sum + words.length, 0),
    async [Symbol.asyncDispose]() {
      telling.stop();
      await bus.close();
    },
  };
}

describe('what all machines have applied', () => {
  it('is known in a few ms, and one word a machine says it', async () => {
    await using all = await cluster(5);
    const {clock, feed, machines} = all;
    feed.endpoint('web-a', 'm0', true);
    await clock.advance(20);
    const before = all.said();
    feed.endpoint('web-a', 'm0', false);
    await clock.advance(10);
    expect(await machines[0]!.rotation.left('web-a', 0, never)).toBeUndefined();
    expect(all.said() - before).toBe(5);
    // What brings nobody out of rotation is nothing to say.
    feed.endpoint('web-b', 'm1', true);
    await clock.advance(20);
    expect(all.said() - before).toBe(5);
    expect(await machines[1]!.rotation.left('web-b', 0, never)).toBe('the discovery manager, to take it out of rotation');
  });

  it('waits for a machine that is stuck, and names it; not for one that is not ready, or takes no part', async () => {
    await using all = await cluster(3);
    const {clock, feed, machines, telling, unready} = all;
    machines[2]!.isStuck = true;
    feed.endpoint('web-a', 'm0', false);
    await clock.advance(100);
    const left = machines[0]!.rotation.left('web-a', 10_000, never);
    await clock.advance(10_000);
    expect(await left).toBe('m2');
    // It was asked a few times where it stands, and that was all.
    expect(machines[2]!.words.length).toBeLessThan(15);
    unready.add('m2');
    telling.look();
    await clock.advance(10);
    expect(await machines[0]!.rotation.left('web-a', 0, never)).toBeUndefined();
    unready.clear();
    feed.endpoint('web-b', 'm1', false);
    await clock.advance(10);
    expect(await machines[1]!.rotation.left('web-b', 0, never)).toBeDefined();
    machines[2]!.application.use('balances', false);
    await clock.advance(10);
    expect(await machines[1]!.rotation.left('web-b', 0, never)).toBeUndefined();
  });

  it('is found though a word of a machine is lost', async () => {
    await using all = await cluster(2);
    const {clock, feed, machines, telling} = all;
    const heard = telling.heard.bind(telling);
    telling.heard = () => undefined;
    feed.endpoint('web-a', 'm0', false);
    await clock.advance(100);
    telling.heard = heard;
    expect(await machines[0]!.rotation.left('web-a', 0, never)).toBeDefined();
    await clock.advance(2_100);
    expect(await machines[0]!.rotation.left('web-a', 0, never)).toBeUndefined();
  });

  it('is not known where nobody was heard yet, and known at once where nobody takes part', async () => {
    await using all = await cluster(1);
    const {clock, feed, machines} = all;
    machines[0]!.application.use('balances', false);
    await clock.advance(10);
    feed.endpoint('web-a', 'm0', false);
    await clock.advance(5);
    expect(await machines[0]!.rotation.left('web-a', 0, never)).toBeUndefined();
  });

  it('takes a word a machine a batch, and not one a stop: 1,000 machines, 100 stops a second', async () => {
    await using all = await cluster(1_000);
    const {clock, feed, machines} = all;
    const before = {told: all.told(), said: all.said()};
    const left: Promise<string | undefined>[] = [];
    for (let stop = 0; stop < 100; stop++) {
      const node = `m${stop}`;
      feed.endpoint(`web-${stop}`, node, true);
      feed.endpoint(`web-${stop}`, node, false);
      await clock.advance(5);
      left.push(machines[stop]!.rotation.left(`web-${stop}`, 10_000, never));
      await clock.advance(5);
    }
    await clock.advance(1_000);
    expect((await Promise.all(left)).filter((vain) => vain !== undefined)).toEqual([]);
    // One a stop would be 100,000 words.
    expect(all.said() - before.said).toBeLessThan(10_000);
    expect(all.told() - before.told).toBeLessThan(200);
  }, 60_000);
});
