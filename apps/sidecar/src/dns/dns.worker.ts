/** The thread of names: however busy they are, no probe of the ring waits for them. */
import {parentPort, workerData} from 'node:worker_threads';
import {Answering} from './answering.ts';
import type {FromNamesThread, NamesThreadSettings, ToNamesThread} from './thread.ts';

if (!parentPort) throw new Error('dns.worker.ts is a thread: it is started by the sidecar');
const port = parentPort;
const say = (message: FromNamesThread): void => port.postMessage(message);

const answering = new Answering({
  // Structured data from the main thread of the same program.
  ...(workerData as NamesThreadSettings),
  log: (level, fields, text) => say({kind: 'log', level, fields, text}),
  now: () => performance.now(),
  random: Math.random,
  setTimer(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
});

const started = answering.start();
port.on('message', (message: ToNamesThread) => {
  void started.then(() => {
    try {
      say(message.kind === 'apply' ? {kind: 'point', id: message.id, point: answering.apply(message.part)} : {kind: 'vitals', id: message.id, vitals: answering.vitals()});
    } catch (error) {
      say({kind: 'refusal', id: message.id, message: String(error)});
    }
  });
});
