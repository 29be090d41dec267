/**
 * Requests at a steady rate, whatever becomes of those before (an open loop), on so many kept connections, as
 * `node client.ts ADDRESS PORT PER_SECOND CONNECTIONS`. Ends with its standard input; then says how it went, as JSON. A time is
 * from when a request was due. Whatever is not a whole answer of 200 has failed, also on a connection that was kept: nothing is asked again.
 */
import {connect, type Socket} from 'node:net';

const [address = '', port, perSecond, connections] = process.argv.slice(2);
const most = Number(connections);
const request = 'GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n';
const ANSWER = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*)$/;
const BODY = 'ok\n';
const TIMEOUT_MS = 8_000;
/** Of each time, ms. */
const GRAIN = 20;

const report = {made: 0, failed: {} as Record<string, number>, times: {} as Record<number, number>};
const idle: Socket[] = [];
/** When each was due. */
const waiting: number[] = [];
let [open, underWay] = [0, 0];
let [stopped, said] = [false, false];
const begun = performance.now();

function ask(due: number): void {
  const socket = idle.pop();
  if (socket !== undefined) on(socket, due);
  else if (open < most) on(fresh(), due);
  else waiting.push(due);
}

function fresh(): Socket {
  open += 1;
  const socket = connect({port: Number(port), host: address, noDelay: true});
  socket.setEncoding('latin1').setTimeout(TIMEOUT_MS);
  return socket.on('close', () => {
    open -= 1;
    const at = idle.indexOf(socket);
    if (at >= 0) idle.splice(at, 1);
    next();
  }).on('error', () => undefined);
}

function on(socket: Socket, due: number): void {
  underWay += 1;
  let answer = '';
  const end = (failure: string): void => {
    socket.off('data', heard).off('error', failed).off('close', closed).off('timeout', late);
    underWay -= 1;
    if (failure === '') {
      const time = Math.round((performance.now() - due) * GRAIN);
      report.times[time] = (report.times[time] ?? 0) + 1;
    } else report.failed[failure] = (report.failed[failure] ?? 0) + 1;
    if (failure !== '' || /\r\nconnection: close\r\n/i.test(answer)) socket.destroy();
    else idle.push(socket);
    next();
  };
  const heard = (data: string): void => {
    answer += data;
    const [, status, body = ''] = ANSWER.exec(answer) ?? [];
    if (status !== undefined && status !== '200') end(status);
    else if (body === BODY) end('');
  };
  const failed = ({code = 'error'}: NodeJS.ErrnoException): void => end(code);
  const closed = (): void => end(answer === '' ? 'closed' : 'cut');
  const late = (): void => end('timeout');
  socket.on('data', heard).once('error', failed).once('close', closed).once('timeout', late).write(request);
}

function next(): void {
  const due = waiting.shift();
  if (due !== undefined) ask(due);
  else if (stopped && underWay === 0 && !said) {
    said = true;
    process.stdout.write(JSON.stringify(report), () => process.exit());
  }
}

const timer = setInterval(() => {
  const every = 1_000 / Number(perSecond);
  for (const now = performance.now() - begun; report.made * every <= now;) ask(begun + report.made++ * every);
}, 2);
process.stdin.resume().on('end', () => {
  clearInterval(timer);
  stopped = true;
  next();
});
