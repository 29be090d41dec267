/** The HTTP API of a gateway off loopback, as its clients trust it: by the cluster's own authority. */
import {Agent, request} from 'node:https';

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
}

export interface ApiOptions {
  /** `https://HOST:PORT`. */
  readonly url: string;
  /** PEM. Asked for at each request: it is made by the first service that starts. */
  readonly ca: () => string;
  readonly token: () => string;
}

const ANSWER_MS = 15_000;

export class Api {
  readonly url: string;
  readonly #options: ApiOptions;
  #agent: Agent | undefined;

  constructor(options: ApiOptions) {
    this.url = options.url;
    this.#options = options;
  }

  /** A request to `/api/v1` + path. Rejects where nobody answers within `timeoutMs`. */
  call(method: string, path: string, body?: unknown, {timeoutMs = ANSWER_MS, headers = {}}: {readonly timeoutMs?: number; readonly headers?: Readonly<Record<string, string>>} = {}): Promise<Answer> {
    const {url, ca, token} = this.#options;
    this.#agent ??= new Agent({keepAlive: true, ca: ca()});
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request(`${url}/api/v1${path}`, {
        method,
        agent: this.#agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {authorization: `Bearer ${token()}`, ...(text === undefined ? {} : {'content-type': 'application/json'}), ...headers},
      }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        incoming.on('end', () => resolve({status: incoming.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString())}));
      });
      outgoing.on('error', (cause) => reject(new Error(`${method} ${path}: ${cause.message}`, {cause})));
      outgoing.end(text);
    });
  }

  /** The body of an answer of success. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
