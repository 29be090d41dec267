import {setImmediate as turn} from 'node:timers/promises';
import {StreamEnd, WINDOW_BYTES} from './stream.ts';
import {codeOf, collect} from './testing/observe.ts';

/** Two ends joined by hand, so that a test decides what becomes of each frame. */
function join(keepAliveMs?: number) {
  const wire: {to: 'left' | 'right'; frame: Uint8Array}[] = [];
  const end = (to: 'left' | 'right') => new StreamEnd({params: null, send: (frame) => wire.push({to, frame}), onClosed: () => undefined, keepAliveMs});
  const [left, right] = [end('right'), end('left')];
  const deliver = (lose: (frame: Uint8Array) => boolean = () => false): void => {
    for (let next = wire.shift(); next; next = wire.shift()) {
      if (!lose(next.frame)) (next.to === 'left' ? left : right).receive(next.frame);
    }
  };
  left.start();
  right.start();
  deliver();
  return {left, right, wire, deliver};
}

describe('one end of a stream', () => {
  it('notices a frame that was lost, and tells the other', async () => {
    const {left, right, deliver} = join();
    await left.write(Buffer.from('one'));
    deliver();
    await left.write(Buffer.from('two'));
    deliver(() => true);
    await left.write(Buffer.from('three'));
    deliver();
    expect(await codeOf(right.closed)).toBe('disconnected');
    expect(await codeOf(left.closed)).toBe('disconnected');
    const read = right.readable[Symbol.asyncIterator]();
    expect(Buffer.from((await read.next()).value ?? []).toString()).toBe('one');
    expect(await codeOf(read.next())).toBe('disconnected');
  });

  it('notices a frame that came twice', async () => {
    const {left, right, wire} = join();
    await left.write(Buffer.from('one'));
    const [sent] = wire;
    for (const _ of [1, 2]) right.receive(sent?.frame ?? new Uint8Array());
    expect(await codeOf(right.closed)).toBe('disconnected');
  });

  it.each([
    ['nothing', []],
    ['half a header', [1, 0, 0]],
    ['an unknown kind', [99, 0, 0, 0, 1]],
    ['a credit without its numbers', [0, 0, 0, 0, 1, 7]],
    ['a control message that is not JSON', [2, 0, 0, 0, 1, 0x7b]],
  ])('refuses %s', async (_what, bytes) => {
    const {right} = join();
    right.receive(Uint8Array.from(bytes));
    expect(await codeOf(right.closed)).toBe('invalid-message');
  });

  it('refuses more than it granted', async () => {
    const {right} = join();
    const frame = Buffer.alloc(5 + WINDOW_BYTES + 1);
    frame[0] = 1;
    frame[4] = 1;
    right.receive(frame);
    expect(await codeOf(right.closed)).toBe('invalid-message');
  });

  it('carries many windows as its reader grants them', async () => {
    const {left, right, deliver} = join();
    const reading = collect(right.readable);
    let written = false;
    const writing = left.write(new Uint8Array(WINDOW_BYTES * 10)).then(() => (written = true));
    while (!written) {
      deliver();
      await turn();
    }
    await writing;
    await left.end();
    deliver();
    expect((await reading).reduce((sum, chunk) => sum + chunk.byteLength, 0)).toBe(WINDOW_BYTES * 10);
  });

  it('gives up another side that falls silent, and lives while it pings', async () => {
    const silent = join(5);
    expect(await codeOf(silent.left.closed)).toBe('disconnected');
    const alive = join(5);
    let delivered = 0;
    const timer = setInterval(() => {
      delivered += alive.wire.length;
      alive.deliver();
      if (delivered > 40) alive.left.destroy();
    }, 1);
    expect(await codeOf(alive.left.closed)).toBe('cancelled');
    clearInterval(timer);
    alive.deliver();
    expect(await codeOf(alive.right.closed)).toBe('cancelled');
  });
});
