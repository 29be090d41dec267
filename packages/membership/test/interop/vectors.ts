/**
 * Writes `src/wire/vectors.json`: what nodes of memberlist in Go sent each other while one of four was killed and one left, one datagram
 * or stream of each kind. Run by hand, where the wire changes: `node packages/membership/test/interop/vectors.ts`.
 */
import {createSecretKey} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {decodePacket, type Framing, StreamDecoder} from '../../src/wire/index.ts';
import {killAll} from '../processes.ts';
import {buildPeer, GoPeer} from './go-peer.ts';

const key = Buffer.from('0123456789abcdef').toString('base64');

interface Vector {
  readonly ring: string;
  readonly kind: string;
  readonly hex: string;
  readonly reads: readonly unknown[];
}

async function capture(program: string, dir: string, ring: string, options: {key?: string; compress: boolean}): Promise<Vector[]> {
  const files = ['a', 'b', 'c', 'd'].map((name) => join(dir, `${ring}-${name}`));
  const a = new GoPeer(program, {name: 'go-a', meta: 'of a', capture: files[0] ?? '', ...options});
  const at = await a.ready();
  const [b, c, d] = ['b', 'c', 'd'].map((name, n) => new GoPeer(program, {name: `go-${name}`, meta: `of ${name}`, join: [at], capture: files[n + 1] ?? '', ...options}));
  await Promise.all(['go-b', 'go-c', 'go-d'].map((name) => a.saw('join', name)));
  await d?.kill();
  await a.saw('leave', 'go-d');
  b?.say('user go-a');
  await a.line('a message of an application', (line) => line.event === 'user');
  c?.say('leave');
  await a.saw('leave', 'go-c');
  await killAll();
  const framing: Framing = options.key === undefined ? {} : {keys: [createSecretKey(Buffer.from(options.key, 'base64'))]};
  return files.flatMap((file) => readFileSync(file, 'utf8').trim().split('\n')).map((line) => {
    const [kind = '', hex = ''] = line.split(' ');
    return {ring, kind, hex, reads: read(kind, Buffer.from(hex, 'hex'), framing)};
  });
}

function read(kind: string, bytes: Buffer, framing: Framing): readonly unknown[] {
  if (kind === 'stream') {
    const result = new StreamDecoder(framing, true).push(bytes);
    return result && 'message' in result ? [result.message] : [];
  }
  return decodePacket(bytes, framing).messages;
}

/** The longest of each kind of content within each ring. */
function distinct(vectors: readonly Vector[]): Vector[] {
  const seen = new Map<string, Vector>();
  for (const vector of vectors) {
    const types = vector.reads.map((one) => (typeof one === 'object' && one !== null && 'type' in one ? one.type : '?'));
    const id = [vector.ring, vector.kind, ...types].join(' ');
    if (vector.hex.length > (seen.get(id)?.hex.length ?? 0)) seen.set(id, vector);
  }
  return [...seen.values()];
}

const dir = tempDir('vectors');
try {
  const program = buildPeer(dir);
  const vectors = distinct([
    ...(await capture(program, dir, 'plain', {compress: false})),
    ...(await capture(program, dir, 'compressed', {compress: true})),
    ...(await capture(program, dir, 'sealed', {compress: true, key})),
  ]);
  const text = JSON.stringify({key, vectors}, (_, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value), 1);
  writeFileSync(join(import.meta.dirname, '../../src/wire/vectors.json'), `${text}\n`);
} finally {
  await killAll();
  await removeTempDir(dir);
}
