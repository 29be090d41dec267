/** All that a command sees of the outside, so that tests can be one. */
import {homedir} from 'node:os';

export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface InputStream extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

export interface Terminal {
  readonly in: InputStream;
  readonly out: OutputStream;
  readonly err: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** ms since the epoch. */
  now(): number;
  /** Another program takes this process over, under its pid; returns only where that fails. Tests have no process to give. */
  become?(program: string, args: readonly string[], env: Terminal['env']): void;
}

export function processTerminal(): Terminal {
  return {in: process.stdin, out: process.stdout, err: process.stderr, env: process.env, cwd: process.cwd(), home: homedir(), now: () => Date.now(), become: (program, args, env) => process.execve?.(program, args, set(env))};
}

/** Those that are set. */
function set(env: Terminal['env']): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
