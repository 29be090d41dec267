/** A shop of three tiers as a Compose project, and people who ask it. */
import {copyFileSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as z from 'zod';
import {askingProgram, type Load, nodeFolders} from '../load.ts';

/** Of `web`, on every machine. */
export const PUBLISHED = 8080;

/** A directory with the project; what it needs beside is in the image. */
export function writeShop(dir: string, image: string): void {
  mkdirSync(dir, {recursive: true});
  copyFileSync(new URL('./ask.mjs', import.meta.url), join(dir, 'ask.mjs'));
  copyFileSync(new URL('./server.mjs', import.meta.url), join(dir, 'server.mjs'));
  const binds = nodeFolders().map(({from, to}) => `      - ${from}:${to}:ro`).join('\n');
  const tier = (name: string, next: string): string => `
  ${name}:
    image: ${image}
    pull_policy: never
    command: [/node/node, /shop/server.mjs${next}]
    stop_grace_period: 1s
    healthcheck: {test: [CMD-SHELL, nc -w 1 127.0.0.1 80 < /dev/null], interval: 1s, start_interval: 500ms}
    configs:
      - {source: server, target: /shop/server.mjs}
      - {source: ask, target: /shop/ask.mjs}
    volumes:
${binds}`;
  writeFileSync(join(dir, 'compose.yaml'), `name: default
services:${tier('web', ', api')}
    ports: ["${PUBLISHED}:80"]
    deploy: {replicas: 3}
${tier('api', ', db')}
    deploy: {replicas: 3}
${tier('db', '')}
      - data:/data

  client:
    image: ${image}
    pull_policy: never
    command: [sleep, "100000"]
    stop_grace_period: 1s
    init: true
    deploy: {mode: global}

configs:
  server: {file: ./server.mjs}
  ask: {file: ./ask.mjs}
volumes: {data: {}}
`);
}

const Failed = z.object({
  /** A code of the system, `cut`, `silence`, or `wrong answer`. */
  failure: z.string(),
  /** The name or address that was asked. */
  to: z.string(),
  /** ms; absent: it never was. */
  connectedAt: z.number().optional(),
  /** Who took it; empty: it had not said so. */
  peer: z.string().default(''),
});
const Report = z.object({made: z.number(), /** ms */ slowest: z.number(), failed: z.array(Failed)});
export type Report = z.infer<typeof Report>;

/** @param from a process in whose network they are; absent: the test's own */
export function askShop(address: string, port: number, perSecond: number, from?: number): Load<Report> {
  return askingProgram(Report, [fileURLToPath(new URL('./load.mjs', import.meta.url)), address, String(port), String(perSecond)], from);
}
