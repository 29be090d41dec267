/** A tier: asks the next one by its name, the last reads its volume and takes a moment, so that something is always in flight. */
import {appendFileSync, readFileSync} from 'node:fs';
import net from 'node:net';
import {hostname} from 'node:os';
import {ask} from './ask.mjs';

const [next] = process.argv.slice(2);
const MOMENT_MS = 100;
const PATIENCE_MS = 5000;
process.on('SIGTERM', () => process.exit());
if (next === undefined) appendFileSync('/data/starts', 'started\n');
const answer = async () => {
  if (next !== undefined) return ask(next, 80, PATIENCE_MS);
  await new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
  return {ok: readFileSync('/data/starts', 'utf8') === 'started\n'};
};
net.createServer((socket) => {
  socket.on('error', () => undefined).write(`${hostname()}\n`);
  socket.once('data', async () => socket.end(`${JSON.stringify(await answer())}\n`));
}).listen(80);
