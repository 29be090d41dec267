import {join} from 'node:path';
import type {EventRecord} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import pino from 'pino';
import {containerSpec} from '../../testing/index.ts';
import {createFakeRuntime, type FakeRuntime} from '../../testing/fake.ts';
import type {Retention} from './core/retention.ts';
import {ImageKeeper} from './keeper.ts';

const MINUTE = 60_000;
let dir: string;
let clock: FakeClock;
let runtime: FakeRuntime;
let taken: number;
let wanted: readonly string[] | undefined;
let events: EventRecord[];
let keeper: ImageKeeper;

function keep(retention: Retention): ImageKeeper {
  keeper = new ImageKeeper({
    node: 'n1', runtime, path: join(dir, 'images.json'), retention, clock, logger: pino({level: 'silent'}),
    wanted: () => wanted, tell: (event) => events.push(event), fullness: () => Promise.resolve(taken),
  });
  keeper.start();
  return keeper;
}

function fetched(...names: readonly string[]): void {
  for (const name of names) {
    runtime.engine.addImage(name);
    keeper.pulled(name);
  }
}

const names = (): readonly string[] => [...runtime.engine.images.keys()];
/** One look at the images, over with. */
async function look(): Promise<void> {
  const before = clock.pending;
  await clock.advance(MINUTE);
  await waitFor(() => clock.pending >= before, {what: 'the look to be over'});
}

beforeEach(() => {
  dir = tempDir('images');
  clock = new FakeClock();
  runtime = createFakeRuntime({images: ['built:1'], now: () => clock.now()});
  runtime.engine.imageDir = '/images';
  [taken, wanted, events] = [50, [], []];
});
afterEach(async () => {
  await keeper.stop();
  await removeTempDir(dir);
});

it('by age: what nobody used for so long goes; what is used, wanted, or was never fetched stays', async () => {
  keep({minAgeMs: 2 * MINUTE, maxAgeMs: 10 * MINUTE});
  fetched('used:1', 'wanted:1', 'idle:1');
  await runtime.create(containerSpec({template: {image: 'used:1'}}));
  wanted = ['docker.io/library/wanted:1'];
  for (let minute = 0; minute < 9; minute++) await look();
  expect(names()).toEqual(['built:1', 'used:1', 'wanted:1', 'idle:1']);
  for (let minute = 0; minute < 3; minute++) await look();
  expect(names()).toEqual(['built:1', 'used:1', 'wanted:1']);
  expect(events).toMatchObject([{kind: 'Node', name: 'n1', reason: 'ImageRemoved', message: expect.stringContaining('idle:1')}]);
  // Used no more, its time begins.
  wanted = [];
  for (let minute = 0; minute < 14; minute++) await look();
  expect(names()).toEqual(['built:1', 'used:1']);
});

it('by the disk: the longest unused goes first, until there is room; then no more', async () => {
  keep({minAgeMs: 2 * MINUTE, disk: {high: 85, low: 80}});
  for (const name of ['a:1', 'b:1', 'c:1']) {
    fetched(name);
    await look();
  }
  await look();
  await look();
  const remove = runtime.removeImage.bind(runtime);
  runtime.removeImage = async (image) => {
    await remove(image);
    taken -= 5;
  };
  taken = 86;
  fetched('fresh:1');
  await look();
  expect(names()).toEqual(['built:1', 'c:1', 'fresh:1']);
  expect(events.map(({reason}) => reason)).toEqual(['ImageRemoved', 'ImageRemoved']);
  taken = 99;
  await look();
  // By now that is fresh no more, and it is not enough.
  expect(names()).toEqual(['built:1']);
  expect(events.at(-1)).toMatchObject({type: 'warning', reason: 'ImageDiskFull', message: expect.stringContaining('89 % full')});
});

it('remembers over a restart, and does nothing while it does not know what is wanted', async () => {
  keep({minAgeMs: MINUTE, maxAgeMs: 5 * MINUTE});
  fetched('idle:1');
  await look();
  await keeper.stop();
  wanted = undefined;
  keep({minAgeMs: MINUTE, maxAgeMs: 5 * MINUTE});
  for (let minute = 0; minute < 8; minute++) await look();
  expect(names()).toContain('idle:1');
  wanted = [];
  await look();
  expect(names()).toEqual(['built:1']);
});
