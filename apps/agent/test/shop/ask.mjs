/**
 * One request over a connection of its own: who takes it says its name at once, then an answer, a line of JSON each. What failed is
 * told from the innermost on, with when its connection was made (ms, `Date.now()`), so that it can be told whether it was in flight.
 */
import net from 'node:net';

/** So long after it was connected an answer is waited for; to be connected, as long as the kernel tries. */
export const ask = (host, port, patienceMs) => new Promise((resolve) => {
  const from = Date.now();
  let connectedAt;
  let said = '';
  let patience;
  const socket = net.connect(port, host);
  const end = (failure) => {
    clearTimeout(patience);
    socket.destroy();
    const [peer = '', answer = ''] = said.split('\n');
    const took = Date.now() - from;
    if (failure !== '') return resolve({ok: false, took, failed: {failure, to: host, connectedAt, peer}});
    resolve({...JSON.parse(answer), took});
  };
  socket.on('connect', () => {
    connectedAt = Date.now();
    socket.write('hello\n');
    patience = setTimeout(() => end('silence'), patienceMs);
  });
  socket.on('data', (data) => (said += data)).on('error', ({code}) => end(code)).on('end', () => end(said.split('\n').length === 3 ? '' : 'cut'));
});
