/** HAProxy's runtime socket: commands in, text out. */
import {createConnection} from 'node:net';

const DEADLINE_MS = 2_000;
/** Of a line of commands: HAProxy reads no longer one. */
const LONGEST_LINE = 8_000;

/** Its answer. Rejects where nobody answers within 2 s. */
export function ask(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let answer = '';
    socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error(`HAProxy does not answer at ${path}`)));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.once('end', () => resolve(answer));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`HAProxy ended before it answered at ${path}`)));
    socket.write(`${command}\n`);
  });
}

/** In their order, as few lines as they fit in. */
export async function tell(path: string, commands: readonly string[]): Promise<void> {
  let line = '';
  for (const command of commands) {
    if (line !== '' && line.length + command.length > LONGEST_LINE) {
      await ask(path, line);
      line = '';
    }
    line += line === '' ? command : `;${command}`;
  }
  if (line !== '') await ask(path, line);
}
