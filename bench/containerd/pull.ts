/**
 * Pull of an image of about 100 MB from a registry on this machine, by Hivemind's driver against `ctr images pull`, in turns, each cold:
 * the image is removed and its content collected before. Once with layers of gzip, once of zstd.
 *
 *   node bench/containerd/pull.ts [--rounds 5] [--write]
 */
import {execFileSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {createContainerdRuntime} from '@hivemind/container/node';
import {type Containerd, type Registry, startContainerd, startRegistry} from '@hivemind/testkit';
import pino from 'pino';
import {pack} from 'tar-stream';
import {median, nowMs, type Row, spread, timed} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values} = parseArgs({options: {rounds: {type: 'string', default: '5'}, write: {type: 'boolean'}}});
const rounds = Number(values.rounds);
const LAYERS = 5;
/** Bytes of each, before it is compressed: half of it cannot be. */
const LAYER = 40e6;
const compressions = {
  gzip: {mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', compress: (tar: Buffer) => gzipSync(tar, {level: 1})},
  zstd: {mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', compress: (tar: Buffer) => zstdCompressSync(tar)},
};

const containerd = await startContainerd();
const registry = await startRegistry();
const rows: Row[] = [];
try {
  const runtime = await createContainerdRuntime({socketPath: containerd.socketPath, root: join(containerd.dir, 'hivemind'), cluster: 'bench', node: 'bench', registries: {[registry.host]: {plainHttp: true}}, logger: pino({level: 'silent'}), now: Date.now});
  const tars: readonly Buffer[] = await Promise.all(Array.from({length: LAYERS}, (_, at) => layerOf(at)));
  for (const [name, {mediaType, compress}] of Object.entries(compressions)) {
    const image = `${registry.host}/bench/${name}:1`;
    const size = await push(registry, `bench/${name}`, tars, mediaType, compress);
    const times = {ours: [] as number[], ctr: [] as number[]};
    const turns = [
      async () => times.ours.push(await timed(async () => {
        for await (const step of runtime.pull(image, undefined, AbortSignal.timeout(120_000))) if (step.error !== undefined) throw new Error(step.error);
      })),
      async () => times.ctr.push(byCtr(containerd, image)),
    ];
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
        await turn();
        containerd.ctr('images', 'rm', '--sync', image);
      }
      if (round === 0) for (const each of Object.values(times)) each.length = 0;
    }
    rows.push({what: `pull of ${Math.round(size / 1e6)} MB, ${LAYERS} layers of ${name}, against \`ctr images pull\``, value: median(times.ours) / median(times.ctr), unit: 'x', better: 'lower', must: 1.5, goal: 1, detail: `${spread(times.ours)}; ctr ${spread(times.ctr)}`});
  }
  await runtime.close();
  printRows(rows);
  if (values.write === true) {
    writeReport('Pulls through containerd', rows, {engine: 'none', subject: `containerd ${containerd.ctr('version').match(/Version:\s*(\S+)/)?.[1] ?? ''}; the driver in this process`});
  }
} finally {
  await Promise.all([containerd.stop(), registry.stop()]);
}

function byCtr({socketPath}: Containerd, image: string): number {
  const from = nowMs();
  execFileSync('ctr', ['--address', socketPath, '--namespace', 'hivemind', 'images', 'pull', '--plain-http', image], {stdio: ['ignore', 'ignore', 'inherit']});
  return nowMs() - from;
}

/** A hundred files, of which each half repeats itself. */
async function layerOf(at: number): Promise<Buffer> {
  const tar = pack();
  for (let file = 0; file < 100; file++) {
    const half = LAYER / 200;
    tar.entry({name: `layer${at}/file${file}`}, Buffer.concat([randomBytes(half), Buffer.alloc(half, `line ${file} of a text that repeats itself\n`)]));
  }
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** @returns bytes of all layers */
async function push({url}: Registry, repository: string, tars: readonly Buffer[], mediaType: string, compress: (tar: Buffer) => Buffer): Promise<number> {
  const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const put = async (bytes: Buffer, type: string): Promise<object> => {
    const digest = digestOf(bytes);
    const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, {method: 'POST'});
    const place = new URL(begun.headers.get('location') ?? '', url);
    place.searchParams.set('digest', digest);
    const {status} = await fetch(place, {method: 'PUT', headers: {'content-type': 'application/octet-stream'}, body: new Uint8Array(bytes)});
    if (status !== 201) throw new Error(`the registry answers ${status} to a blob`);
    return {mediaType: type, digest, size: bytes.length};
  };
  const blobs = tars.map(compress);
  const layers = [];
  for (const blob of blobs) layers.push(await put(blob, mediaType));
  const architecture = ({x64: 'amd64', arm64: 'arm64'} as Readonly<Record<string, string>>)[process.arch] ?? process.arch;
  const config = await put(Buffer.from(JSON.stringify({os: 'linux', architecture, config: {Cmd: ['true']}, rootfs: {type: 'layers', diff_ids: tars.map(digestOf)}, history: []})), 'application/vnd.oci.image.config.v1+json');
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const {status} = await fetch(`${url}/v2/${repository}/manifests/1`, {method: 'PUT', headers: {'content-type': type}, body: JSON.stringify({schemaVersion: 2, mediaType: type, config, layers})});
  if (status !== 201) throw new Error(`the registry answers ${status} to a manifest`);
  return blobs.reduce((sum, {length}) => sum + length, 0);
}
