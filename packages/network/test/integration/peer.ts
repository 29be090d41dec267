/**
 * A container of the tests, in a network namespace of its own: serves its name on TCP 8080 and UDP 5353, and dials by order. One
 * order a line on standard input, one answer a line on standard output. Run by hand: node packages/network/test/integration/peer.ts c1
 */
import {createSocket} from 'node:dgram';
import {connect, createServer, type Socket} from 'node:net';
import {createInterface} from 'node:readline';

export interface Order {
  readonly id: number;
  readonly dial?: {readonly host: string; readonly port: number; readonly times?: number; readonly local?: string};
  readonly ask?: {readonly host: string; readonly port: number; readonly from?: number};
  /** Keeps the connection for `say`. */
  readonly hold?: {readonly host: string; readonly port: number};
  readonly say?: string;
}

const [name = ''] = process.argv.slice(2);
/** More than anything takes that is answered at all, ms. */
const PATIENCE_MS = 3_000;
let held: Socket | undefined;

function dial(host: string, port: number, local?: string): Promise<{socket: Socket; said: string}> {
  return new Promise((resolve, reject) => {
    const socket = connect({host, port, ...(local === undefined ? {} : {localAddress: local})});
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(noAnswer()));
    socket.once('error', reject);
    socket.once('data', (bytes) => {
      socket.setTimeout(0);
      resolve({socket, said: bytes.toString().trim()});
    });
    socket.once('close', () => reject(Object.assign(new Error(), {code: 'CLOSED'})));
  });
}

/** @param from own port; any when 0 */
function ask(host: string, port: number, from = 0): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const end = (how: () => void): void => {
      patience.onabort = null;
      socket.close();
      how();
    };
    patience.onabort = () => end(() => reject(noAnswer()));
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('message', (bytes) => end(() => resolve(bytes.toString())));
    socket.bind(from, () => socket.connect(port, host, () => socket.send('?')));
  });
}

const noAnswer = (): Error => Object.assign(new Error(), {code: 'NOANSWER'});

async function obey(order: Order): Promise<readonly string[]> {
  if (order.dial) {
    const {host, port, times = 1, local} = order.dial;
    const all: string[] = [];
    for (let count = 0; count < times; count++) {
      const {socket, said} = await dial(host, port, local);
      socket.removeAllListeners('close').destroy();
      all.push(said);
    }
    return all;
  }
  if (order.ask) return [await ask(order.ask.host, order.ask.port, order.ask.from)];
  if (order.hold) {
    const {socket, said} = await dial(order.hold.host, order.hold.port);
    held = socket;
    return [said];
  }
  const {say = ''} = order;
  return new Promise((resolve, reject) => {
    if (!held) return reject(Object.assign(new Error(), {code: 'NOTHELD'}));
    AbortSignal.timeout(PATIENCE_MS).addEventListener('abort', () => reject(noAnswer()));
    held.once('data', (bytes) => resolve([bytes.toString().trim()]));
    held.write(`${say}\n`);
  });
}

createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write(`${name} ${socket.remoteAddress?.replace('::ffff:', '')}\n`);
  socket.pipe(socket);
}).listen(8080, '0.0.0.0', () => {
  const answers = createSocket('udp4');
  answers.on('message', (_, {address, port}) => answers.send(name, port, address));
  answers.bind(5353, '0.0.0.0', () => process.stdout.write('"ready"\n'));
});
createInterface({input: process.stdin})
  .on('line', (line) => {
    const order: Order = JSON.parse(line);
    obey(order).then(
      (said) => process.stdout.write(`${JSON.stringify({id: order.id, said})}\n`),
      (error: NodeJS.ErrnoException) => process.stdout.write(`${JSON.stringify({id: order.id, error: error.code ?? error.message})}\n`),
    );
  })
  .on('close', () => process.exit());
