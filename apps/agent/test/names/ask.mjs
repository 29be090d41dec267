// Asks for a name, and then whom it leads to, at a steady rate, until its standard input ends; beside that, other names, each once.
//   node ask.mjs <resolver> <name> <per second> <names, each to be asked once>
// It tries nothing twice: what fails would have been seen by a program that does not either.
import {Resolver} from 'node:dns/promises';
import {connect} from 'node:net';

const [, , server, name, perSecond, ...others] = process.argv;
const EACH_MS = 1000 / Number(perSecond);
/** As long as the kernel needs to send a first packet anew, and some. */
const PATIENCE_MS = 5000;

/** @type {{made: number, failed: string[], others: Record<string, string>}} */
const report = {made: 0, failed: [], others: {}};
/** @type {Set<Promise<void>>} */
const open = new Set();
const begun = performance.now();

/** @param {string} of */
async function find(of) {
  const resolver = new Resolver({timeout: PATIENCE_MS, tries: 1});
  resolver.setServers([server ?? '']);
  const [address = ''] = await resolver.resolve4(of);
  return address;
}

/** @param {string} address @returns {Promise<void>} */
function read(address) {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(80, address, () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('silence')));
    socket.on('data', (data) => (said += data)).once('error', reject).once('end', () => (said.endsWith('ok\n') ? resolve() : reject(new Error('cut'))));
  });
}

/** @param {Promise<void>} work @param {string} what */
function watch(work, what) {
  report.made += 1;
  const at = Math.round(performance.now() - begun);
  const watched = work.catch((/** @type {{code?: string, message: string}} */ {code, message}) => void report.failed.push(`${what} after ${at} ms: ${code ?? message}`)).finally(() => open.delete(watched));
  open.add(watched);
}

const timer = setInterval(() => {
  while (report.made * EACH_MS < performance.now() - begun) {
    const other = report.made % 10 === 0 ? others.shift() : undefined;
    if (other === undefined) watch(find(name ?? '').then(read), name ?? '');
    else watch(find(other).then((address) => void (report.others[other] = address)), other);
  }
}, 2);

process.stdin.resume().once('end', async () => {
  clearInterval(timer);
  await Promise.all(open);
  process.stdout.write(JSON.stringify(report), () => process.exit());
});
