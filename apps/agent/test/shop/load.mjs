/** Requests at a steady rate until standard input ends; then a report of all of them, once each has its answer. */
import {ask} from './ask.mjs';

const [host, port, perSecond] = process.argv.slice(2);
/** A tier waits for the next one, and that one for the kernel to be led elsewhere. */
const PATIENCE_MS = 30_000;
const begun = performance.now();
const answers = [];
const timer = setInterval(() => {
  while (answers.length < ((performance.now() - begun) / 1000) * Number(perSecond)) answers.push(ask(host, Number(port), PATIENCE_MS));
}, 5);
process.stdin.resume().on('end', async () => {
  clearInterval(timer);
  const all = await Promise.all(answers);
  process.stdout.write(JSON.stringify({made: all.length, slowest: Math.max(...all.map(({took}) => took)), failed: all.flatMap(({ok, failed}) => (ok ? [] : [failed ?? {failure: 'wrong answer', to: host}]))}), () => process.exit());
});
