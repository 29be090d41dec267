import {logLines, logQuery, MAX_LINE_BYTES} from './logs.ts';

const time = (n: number): string => `2026-01-01T00:00:00.${String(n).padStart(9, '0')}Z`;

function framed(stream: 1 | 2, text: string): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

async function read(...chunks: readonly Buffer[]) {
  const lines = [];
  for await (const line of logLines((async function* () {
    yield* await Promise.resolve(chunks);
  })())) lines.push(line);
  return lines;
}

describe('logLines', () => {
  it('takes frames apart', async () => {
    expect(await read(framed(1, `${time(1)} out\n`), framed(2, `${time(2)} err\n`), framed(1, `${time(3)} \n`))).toEqual([
      {time: time(1), stream: 'stdout', line: 'out'},
      {time: time(2), stream: 'stderr', line: 'err'},
      {time: time(3), stream: 'stdout', line: ''},
    ]);
  });

  it('joins the pieces of a long line, also when the other stream speaks between them', async () => {
    const piece = 'x'.repeat(16_384);
    expect(await read(framed(1, `${time(1)} ${piece}`), framed(2, `${time(2)} err\n`), framed(1, `${time(1)} ${piece}`), framed(1, `${time(1)} end\n`))).toEqual([
      {time: time(2), stream: 'stderr', line: 'err'},
      {time: time(1), stream: 'stdout', line: `${piece}${piece}end`},
    ]);
  });

  it('gives the last line without a newline', async () => {
    expect(await read(framed(1, `${time(1)} no end`))).toEqual([{time: time(1), stream: 'stdout', line: 'no end'}]);
    expect(await read(Buffer.from(`${time(1)} no end`))).toEqual([{time: time(1), stream: 'stdout', line: 'no end'}]);
  });

  it('hands on what is longer than the limit in pieces, never half a character', async () => {
    const long = '€'.repeat(MAX_LINE_BYTES);
    const frames = Array.from({length: 3 * 64}, (_, index) => framed(1, `${time(1)} ${long.slice(index * 16_384 / 3, (index + 1) * 16_384 / 3)}`));
    const lines = await read(...frames, framed(1, `${time(1)} \n`));
    expect(lines.length).toBeGreaterThan(1);
    for (const {line} of lines) {
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(MAX_LINE_BYTES);
      expect(line).not.toContain('\ufffd');
    }
  });

  it('reads a terminal\'s bare text, and the marks of its long lines', async () => {
    const piece = 'x'.repeat(16_384);
    const text = `${time(1)} one\r\n${time(2)} ${piece}${time(2)} ${piece}${time(2)} end\r\n${time(3)} three\r\n`;
    expect(await read(Buffer.from(text))).toEqual([
      {time: time(1), stream: 'stdout', line: 'one'},
      {time: time(2), stream: 'stdout', line: `${piece}${piece}end`},
      {time: time(3), stream: 'stdout', line: 'three'},
    ]);
  });

  it('bounds a terminal\'s line that never ends', async () => {
    const piece = `${time(1)} ${'y'.repeat(16_384)}`;
    const lines = await read(...Array.from({length: 200}, () => Buffer.from(piece)));
    expect(lines.map(({line}) => line).join('')).toBe('y'.repeat(16_384 * 200));
    for (const {line} of lines) expect(line.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
  });

  it('gives up on a stream that is out of step', async () => {
    await expect(read(Buffer.from([1, 0, 0, 0, 255, 255, 255, 255]))).rejects.toThrow('out of step');
  });

  it('has nothing to say of nothing', async () => {
    expect(await read()).toEqual([]);
    expect(await read(Buffer.alloc(0))).toEqual([]);
  });
});

describe('logQuery', () => {
  it('keeps all digits of a time', () => {
    expect(logQuery({follow: true, tail: 5, since: '2026-01-01T00:00:00.123456789Z', until: '2026-01-01T00:00:01Z'})).toEqual({
      stdout: true, stderr: true, timestamps: true, follow: true, tail: '5', since: '1767225600.123456789', until: '1767225601.000000000',
    });
    expect(logQuery({follow: false})).toEqual({stdout: true, stderr: true, timestamps: true, follow: false});
  });
});
