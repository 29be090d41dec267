/** containerd's API over its unix socket. One connection, made again by itself; all calls are in one namespace of containerd's. */
import {type ClientDuplexStream, Client, credentials, Metadata, type ServiceError, status} from '@grpc/grpc-js';
import {calls, type Method, streams, writeContent, type WriteContentRequest, type WriteContentResponse} from './messages.ts';

type Calls = typeof calls;
type Streams = typeof streams;
type RequestOf<M> = M extends Method<infer Request, infer _Reply> ? Partial<Request> : never;
type ReplyOf<M> = M extends Method<infer _Request, infer Reply> ? Reply : never;

export interface CallOptions {
  /** Absent: what takes as long as it takes, such as waiting for a process. */
  readonly deadlineMs?: number;
  /** What is made belongs to this lease, so that containerd's garbage collection leaves it alone. */
  readonly lease?: string;
  readonly signal?: AbortSignal;
}

/** An answer is waited for so long, unless the call says otherwise. */
export const ANSWER_MS = 60_000;
/** Of one message; a container's description is some 20 KB. */
const LARGEST_MESSAGE = 64 * 2 ** 20;

export class ContainerdClient {
  readonly socketPath: string;
  readonly #client: Client;
  readonly #namespace: string;

  constructor(socketPath: string, namespace: string) {
    this.socketPath = socketPath;
    this.#namespace = namespace;
    // No HTTP proxy stands before a socket; one that was away is tried again soon.
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.max_receive_message_length': LARGEST_MESSAGE,
      'grpc.max_send_message_length': LARGEST_MESSAGE,
    });
  }

  /** @throws ServiceError of gRPC */
  call<N extends keyof Calls>(name: N, request: RequestOf<Calls[N]>, {deadlineMs = ANSWER_MS, lease, signal}: CallOptions = {}): Promise<ReplyOf<Calls[N]>> {
    const {path, request: asked, reply} = calls[name] as unknown as Method<object, ReplyOf<Calls[N]>>;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const options = deadlineMs === Infinity ? {} : {deadline: Date.now() + deadlineMs};
      const call = this.#client.makeUnaryRequest(path, asked.encode, reply.decode, request, this.#metadata(lease), options, (error, answer) => {
        signal?.removeEventListener('abort', cancel);
        if (answer !== undefined && !error) resolve(answer);
        else reject(error ?? new Error(`containerd answers ${path} with nothing`));
      });
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, {once: true});
    });
  }

  /** Ends when the signal is aborted. @throws ServiceError of gRPC */
  async *stream<N extends keyof Streams>(name: N, request: RequestOf<Streams[N]>, signal?: AbortSignal): AsyncGenerator<ReplyOf<Streams[N]>> {
    const {path, request: asked, reply} = streams[name] as unknown as Method<object, ReplyOf<Streams[N]>>;
    const answers = this.#client.makeServerStreamRequest(path, asked.encode, reply.decode, request, this.#metadata());
    const cancel = (): void => answers.cancel();
    signal?.addEventListener('abort', cancel, {once: true});
    try {
      if (signal?.aborted) return;
      for await (const answer of answers as AsyncIterable<ReplyOf<Streams[N]>>) yield answer;
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancel();
    }
  }

  /** Bytes into the content store. */
  write(lease?: string): ClientDuplexStream<WriteContentRequest, WriteContentResponse> {
    const {path, request, reply} = writeContent;
    const stream = this.#client.makeBidiStreamRequest(path, request.encode, reply.decode, this.#metadata(lease));
    // Who reads the answers hears of it; who left before them does not care.
    return stream.on('error', () => undefined);
  }

  /** Resolves once connected. @throws where that takes longer */
  ready(deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + deadlineMs, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.#client.close();
  }

  #metadata(lease?: string): Metadata {
    const metadata = new Metadata();
    metadata.set('containerd-namespace', this.#namespace);
    if (lease !== undefined) metadata.set('containerd-lease', lease);
    return metadata;
  }
}

/** Whether containerd answered with that status. */
export function isStatus(error: unknown, ...codes: readonly (keyof typeof status)[]): boolean {
  return codes.some((code) => statusOf(error) === status[code]);
}

/** What containerd said, without gRPC's number and name before it. */
export function wordsOf(error: unknown): string {
  return (statusOf(error) === undefined ? String(error instanceof Error ? error.message : error) : (error as ServiceError).details).trim().replace(/\.$/, '');
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('details' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}
