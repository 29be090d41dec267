/** A memberlist node in Go, built from `peer/` with Debian's packages. */
import {execFileSync, spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import * as z from 'zod';
import type {Address} from '../../src/node/index.ts';
import {Child} from '../processes.ts';

const packages = ['golang-go', 'golang-github-hashicorp-memberlist-dev'];
const sources = '/usr/share/gocode';
/** Debian's own: another Go may come first in PATH, and would ask for modules. */
const go = '/usr/lib/go-1.19/bin/go';

/** Builds the peer into `dir`, after installing what that takes where it is missing (as root). Answers the program's path. */
export function buildPeer(dir: string): string {
  if (!existsSync(go) || !existsSync(join(sources, 'src/github.com/hashicorp/memberlist'))) {
    const apt = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', ...packages], {stdio: 'inherit', env: {...process.env, DEBIAN_FRONTEND: 'noninteractive'}});
    if (apt.status !== 0) throw new Error(`the Go peer needs the Debian packages ${packages.join(' and ')}: install them as root`);
  }
  const program = join(dir, 'peer');
  const env = {...process.env, GO111MODULE: 'off', GOPATH: sources, GOFLAGS: '', GOROOT: '', GOTOOLCHAIN: 'local', GOCACHE: join(dir, 'cache')};
  execFileSync(go, ['build', '-o', program, '.'], {cwd: join(import.meta.dirname, 'peer'), env, stdio: 'inherit'});
  return program;
}

export interface PeerOptions {
  readonly name: string;
  readonly key?: string;
  readonly compress?: boolean;
  readonly meta?: string;
  readonly join?: readonly Address[];
  readonly count?: number;
  readonly capture?: string;
}

export class GoPeer extends Child {
  readonly #name: string;

  constructor(program: string, {name, key, compress = true, meta = '', join: members = [], count = 1, capture}: PeerOptions) {
    super(program, [
      '-name', name, `-compress=${compress}`, '-meta', meta, '-count', String(count),
      ...(key === undefined ? [] : ['-key', key]),
      ...(members.length === 0 ? [] : ['-join', members.map(({host, port}) => `${host}:${port}`).join(',')]),
      ...(capture === undefined ? [] : ['-capture', capture]),
    ]);
    this.#name = name;
  }

  /** Where it listens, once it does. */
  async ready(): Promise<Address> {
    const {addr} = z.object({addr: z.string()}).parse(await this.line(`${this.#name} to listen`, (line) => line.event === 'ready', 180_000));
    const colon = addr.lastIndexOf(':');
    return {host: addr.slice(0, colon), port: Number(addr.slice(colon + 1))};
  }

  /** `join`, `leave` or `update`, of a member, with the fields given. */
  saw(event: string, name: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const fits = Object.entries({event, name, ...fields});
    return this.line(`${this.#name} to see ${event} of ${name}`, (line) => fits.every(([key, value]) => line[key] === value), 30_000);
  }
}
