/** Answers that come in pieces: lines of JSON, and server-sent events. */
import type {IncomingMessage} from 'node:http';
import {createInterface} from 'node:readline';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';

/** One value a line. @throws `connection-lost` when the answer breaks off */
export async function* jsonLines<S extends z.ZodType>(response: IncomingMessage, schema: S): AsyncGenerator<z.output<S>> {
  for await (const line of lines(response)) {
    if (line.trim() === '') continue;
    yield schema.parse(JSON.parse(line));
  }
}

export const ChangeEvent = z.object({
  type: z.string(),
  kind: z.string().default(''),
  namespace: z.string().optional(),
  name: z.string().default(''),
  message: z.string().optional(),
});
export type ChangeEvent = z.infer<typeof ChangeEvent>;

/** What `/events` tells. */
export async function* serverEvents(response: IncomingMessage): AsyncGenerator<ChangeEvent> {
  let data = '';
  for await (const line of lines(response)) {
    if (line.startsWith('data:')) data += line.slice(5).trimStart();
    else if (line === '' && data !== '') {
      yield ChangeEvent.parse(JSON.parse(data));
      data = '';
    }
  }
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  const reader = createInterface({input: response, crlfDelay: Infinity});
  const failed = new Promise<never>((_resolve, reject) => {
    response.once('error', (error) => reject(cliErrors['connection-lost'](`The connection was lost: ${error.message}`, {cause: error})));
  });
  // Only the race below looks at it.
  failed.catch(() => undefined);
  const iterator = reader[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = await Promise.race([iterator.next(), failed]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    reader.close();
    response.destroy();
  }
}
