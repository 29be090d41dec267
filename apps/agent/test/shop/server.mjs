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
const answer = (tell) => {
  if (next === undefined) setTimeout(() => tell({ok: readFileSync('/data/starts', 'utf8') === 'started\n'}), MOMENT_MS);
  else ask(next, 80, PATIENCE_MS).then(tell);
};
net.createServer((socket) => {
  socket.on('error', () => undefined).write(`${hostname()}\n`);
  socket.once('data', () => answer((said) => socket.end(`${JSON.stringify(said)}\n`)));
}).listen(80);
