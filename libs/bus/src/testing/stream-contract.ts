/** The part of the contract that is about byte streams. */
import {setTimeout as delay} from 'node:timers/promises';
import {busErrors} from '../errors.ts';
import {WINDOW_BYTES, WINDOW_CONTROLS} from '../stream.ts';
import {codeOf, collect, eventually} from './observe.ts';
import type {Bus, ByteStream} from '../bus.ts';

async function readAll(stream: ByteStream): Promise<Buffer> {
  return Buffer.concat(await collect(stream.readable));
}

/** Bytes that are not the same anywhere near, so that a lost or doubled chunk shows. */
function pattern(length: number): Buffer {
  return Buffer.from(Uint32Array.from({length: length / 4}, (_, index) => index * 2654435761).buffer);
}

export function streamContract(buses: () => {left: Bus; right: Bus}): void {
  describe('streams', () => {
    it('carry bytes both ways in order, more than the window, and end by halves', async () => {
      const {left, right} = buses();
      await right.serveStreams('double.*', async (stream, subject) => {
        expect([subject, stream.params]).toEqual(['double.x', {n: 1}]);
        for await (const chunk of stream.readable) await stream.write(chunk);
        await stream.write(Buffer.from('end'));
      });
      const sent = pattern(WINDOW_BYTES * 4);
      const stream = await left.openStream('double.x', {n: 1});
      const written = stream.write(sent).then(() => stream.end());
      const received = await readAll(stream);
      await written;
      await stream.closed;
      expect(received.equals(Buffer.concat([sent, Buffer.from('end')]))).toBe(true);
    });

    it('copy what is written, so that the writer may use its buffer again', async () => {
      const {left, right} = buses();
      await right.serveStreams('copy', async (stream) => {
        const buffer = Buffer.from('one');
        await stream.write(buffer);
        buffer.write('two');
      });
      expect((await readAll(await left.openStream('copy', null))).toString()).toBe('one');
    });

    it('hold the writer back until the reader reads', async () => {
      const {left, right} = buses();
      let written = 0;
      await right.serveStreams('flood', async (stream) => {
        const chunk = new Uint8Array(WINDOW_BYTES / 8);
        for (let index = 0; index < 64; index++) {
          await stream.write(chunk);
          written += chunk.byteLength;
        }
      });
      const stream = await left.openStream('flood', null);
      await eventually(() => written === WINDOW_BYTES);
      await delay(20);
      expect(written).toBe(WINDOW_BYTES);
      expect((await readAll(stream)).byteLength).toBe(WINDOW_BYTES * 8);
    });

    it('hold back control messages too, and keep their order', async () => {
      const {left, right} = buses();
      let sent = 0;
      const many = WINDOW_CONTROLS * 3;
      await right.serveStreams('controls', async (stream) => {
        for (let index = 0; index < many; index++) {
          await stream.send({index});
          sent++;
        }
      });
      const stream = await left.openStream('controls', null);
      await eventually(() => sent === WINDOW_CONTROLS);
      expect(await collect(stream.controls)).toEqual(Array.from({length: many}, (_, index) => ({index})));
      expect(await codeOf(stream.send('x'.repeat(70_000)))).toBe('too-large');
    });

    it('deliver what was written before the handler returned, then close both ends', async () => {
      const {left, right} = buses();
      const served = Promise.withResolvers<ByteStream>();
      await right.serveStreams('brief', async (stream) => {
        served.resolve(stream);
        void stream.write(Buffer.from('bytes'));
        void stream.send({exitCode: 3});
      });
      const stream = await left.openStream('brief', null);
      expect((await readAll(stream)).toString()).toBe('bytes');
      expect(await collect(stream.controls)).toEqual([{exitCode: 3}]);
      await Promise.all([stream.closed, (await served.promise).closed]);
      expect(await codeOf(stream.write(Buffer.from('late')))).toBe('closed');
    });

    it('carry the error of a handler after the bytes before it', async () => {
      const {left, right} = buses();
      await right.serveStreams('refuse', async (stream) => {
        await stream.write(Buffer.from('so far'));
        throw busErrors['too-large']('Enough.');
      });
      const stream = await left.openStream('refuse', null);
      const chunks = stream.readable[Symbol.asyncIterator]();
      expect(Buffer.from((await chunks.next()).value ?? []).toString()).toBe('so far');
      await expect(chunks.next()).rejects.toMatchObject({code: 'too-large', message: 'Enough.'});
      expect(await codeOf(stream.closed)).toBe('too-large');
      expect(await codeOf(stream.write(Buffer.from('x')))).toBe('too-large');
      expect(await codeOf(stream.end())).toBe('too-large');
    });

    it('show nothing of an unknown exception', async () => {
      const {left, right} = buses();
      await right.serveStreams('break', async () => {
        throw new Error('password=hunter2');
      });
      const stream = await left.openStream('break', null);
      const error = await stream.closed.catch((failure: unknown) => failure);
      expect(error).toMatchObject({code: 'internal'});
      expect(String(error)).not.toContain('hunter2');
    });

    it('tell the server when the opener cancels, also one that waits for credit', async () => {
      const {left, right} = buses();
      const ended = Promise.withResolvers<string>();
      await right.serveStreams('endless', async (stream) => {
        const code = await codeOf(
          (async () => {
            for (;;) await stream.write(new Uint8Array(64 * 1024));
          })(),
        );
        ended.resolve(code);
      });
      const stream = await left.openStream('endless', null);
      await stream.readable[Symbol.asyncIterator]().next();
      await stream[Symbol.asyncDispose]();
      expect(await ended.promise).toBe('cancelled');
      expect(await codeOf(stream.closed)).toBe('cancelled');
      expect(await codeOf(collect(stream.readable))).toBe('cancelled');
    });

    it('are cancelled by the signal they were opened with', async () => {
      const {left, right} = buses();
      await right.serveStreams('quiet', (stream) => stream.closed);
      const controller = new AbortController();
      const stream = await left.openStream('quiet', null, {signal: controller.signal});
      controller.abort();
      expect(await codeOf(stream.closed)).toBe('cancelled');
    });

    it('fail to open when nobody serves, at once', async () => {
      const {left, right} = buses();
      await right.respond('silent', async () => 1);
      expect(await codeOf(left.openStream('silent', null, {timeoutMs: 60_000}))).toBe('no-responders');
      expect(await codeOf(left.openStream('not valid', null))).toBe('invalid-subject');
    });

    it('are served once, also where several would serve', async () => {
      const {left, right} = buses();
      let served = 0;
      const serve = async (stream: ByteStream): Promise<void> => {
        served++;
        await collect(stream.readable);
        await stream.write(Buffer.from('done'));
      };
      await left.serveStreams('several', serve);
      await right.serveStreams('several', serve);
      await right.serveStreams('several', serve, {queue: 'q'});
      const stream = await left.openStream('several', null);
      await stream.end();
      expect((await readAll(stream)).toString()).toBe('done');
      expect(served).toBe(1);
    });

    it('go on reading after a loop was left', async () => {
      const {left, right} = buses();
      await right.serveStreams('pieces', async (stream) => {
        for (const piece of ['a', 'b', 'c']) await stream.write(Buffer.from(piece));
      });
      const stream = await left.openStream('pieces', null);
      for await (const chunk of stream.readable) {
        expect(Buffer.from(chunk).toString()).toBe('a');
        break;
      }
      expect((await readAll(stream)).toString()).toBe('bc');
    });
  });
}
