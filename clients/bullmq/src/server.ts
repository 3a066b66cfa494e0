// A Weir server: its address, and the connections to it, which all queues of this process share.

import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { WeirConnectionError, WeirError } from './errors.js';
import { exchange } from './exchange.js';
import { encode, sign } from './signature.js';
import type { Credentials } from './signature.js';

/** How to reach Weir: BullMQ's option `connection`. */
export interface WeirConnectionOptions extends Partial<Credentials> {
  /** Address of the server. Default: the environment variable `WEIR_URL`, or `http://127.0.0.1:9324`. */
  url?: string;
  /**
   * For how many milliseconds a request is repeated while the server refuses connections, as during its restart.
   * Default 20 000.
   */
  retryForMs?: number;
}

/** What a request may say beyond method, path and body. */
export interface RequestOptions {
  signal?: AbortSignal;
  /** Whether it may be sent again after a connection ended without an answer: doing it twice is doing it once. */
  repeatable?: boolean;
  /** For how many milliseconds the server may wait before it answers. */
  waitMs?: number;
}

/** A request as it is sent. */
interface Sent {
  method: string;
  path: string;
  text: string;
  headers?: Record<string, string>;
  waitMs?: number | undefined;
  /** For how long nothing of the answer may come, once it has begun. */
  silenceMs?: number;
}

const servers = new Map<string, Server>();
const RETRY_FOR_MS = 20_000;
const PAUSE_MS_MAX = 1_000;
/** A connection on which nothing comes for so long is dead, though nobody said so. */
const SILENCE_MS = 60_000;

export class Server {
  readonly #pool: Pool;
  readonly #retryForMs: number;
  readonly #credentials: Credentials | undefined;
  #users = 0;
  readonly #turns = new Map<string, Promise<void>>();
  /** Queues that are known to be there. */
  readonly known = new Set<string>();
  /** Leases that this process holds, by queue and job. */
  readonly locks = new Map<string, { token: string; lease: string }>();
  /** Ids that senders chose, by queue and the server's id: the last few. */
  readonly #customIds = new Map<string, string>();

  private constructor(
    readonly url: string,
    private readonly key: string,
    options: WeirConnectionOptions,
  ) {
    this.#pool = new Pool(url, { keepAliveTimeout: 30_000 });
    this.#retryForMs = options.retryForMs ?? RETRY_FOR_MS;
    const { accessKeyId, secretAccessKey } = options;
    this.#credentials = accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
  }

  /** The server of these options; who asks for it gives it back with `leave`. */
  static of(options: WeirConnectionOptions): Server {
    const url = options.url ?? process.env['WEIR_URL'] ?? 'http://127.0.0.1:9324';
    const key = JSON.stringify([url, options.accessKeyId, options.secretAccessKey, options.retryForMs]);
    let server = servers.get(key);
    if (!server) {
      server = new Server(new URL(url).origin, key, options);
      servers.set(key, server);
    }
    server.#users += 1;
    return server;
  }

  /** Closes the connections once nobody uses them. */
  async leave(force: boolean): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) {
      return;
    }
    servers.delete(this.key);
    await (force ? this.#pool.destroy() : this.#pool.close());
  }

  remember(queue: string, id: string, customId: string): void {
    this.#customIds.set(`${queue}\n${id}`, customId);
    if (this.#customIds.size > 20_000) {
      for (const oldest of this.#customIds.keys()) {
        this.#customIds.delete(oldest);
        break;
      }
    }
  }

  remembered(queue: string, id: string): string | undefined {
    return this.#customIds.get(`${queue}\n${id}`);
  }

  /** What changes a queue's configuration, by what it read of it, goes one after the other. */
  inTurn<T>(queue: string, act: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(queue) ?? Promise.resolve();
    const turn = before.then(act, act);
    const done = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(queue, done);
    void done.then(() => {
      if (this.#turns.get(queue) === done) {
        this.#turns.delete(queue);
      }
    });
    return turn;
  }

  /** Sends JSON and reads JSON. */
  async ask<T>(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const until = Date.now() + this.#retryForMs;
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#once<T>(method, path, text, options);
      } catch (error) {
        const again = !options.signal?.aborted && Date.now() < until && this.#mayRepeat(error, method, options);
        if (!again) {
          throw told(this.url, error, options);
        }
        const after = error instanceof WeirError ? error.retryAfterMs : undefined;
        await sleep(after ?? Math.min(PAUSE_MS_MAX, 25 * 2 ** tries), undefined, { signal: options.signal });
      }
    }
  }

  #mayRepeat(error: unknown, method: string, options: RequestOptions): boolean {
    if (error instanceof WeirError) {
      // Nothing was done.
      return error.status === 503;
    }
    return isRefused(error) || options.repeatable === true || method === 'GET' || method === 'PUT';
  }

  async #once<T>(method: string, path: string, text: string, { signal, waitMs }: RequestOptions): Promise<T> {
    const { status, retryAfter, text: answer } = await exchange(this.#pool, this.#request({ method, path, text, waitMs }), signal);
    if (status >= 400) {
      throw refusal(status, answer, retryAfter);
    }
    return (answer === '' ? undefined : JSON.parse(answer)) as T;
  }

  /** Sends a request; its answer is a stream, still to be read. */
  stream({ signal, ...request }: Sent & { signal: AbortSignal }): Promise<Dispatcher.ResponseData> {
    return this.#pool.request({ ...this.#request(request), signal });
  }

  #request({ method, path, text, headers = {}, waitMs = 0, silenceMs = SILENCE_MS }: Sent): Dispatcher.DispatchOptions {
    if (text !== '') {
      headers['content-type'] = 'application/json';
    }
    if (this.#credentials) {
      const host = new URL(this.url).host;
      Object.assign(headers, sign(this.#credentials, { method, host, path, body: text, at: new Date() }));
    }
    return {
      method: method as Dispatcher.HttpMethod,
      path,
      headers,
      body: text === '' ? null : text,
      headersTimeout: waitMs + SILENCE_MS,
      bodyTimeout: silenceMs,
    };
  }
}

/** The address of a queue, or of something of it. */
export function queuePath(queue: string, ...rest: string[]): string {
  return ['/v1/queues', encode(queue), ...rest].join('/');
}

/** The address of a job, or of something of it. */
export function jobPath(queue: string, id: string, ...rest: string[]): string {
  return queuePath(queue, 'jobs', encode(id), ...rest);
}

function refusal(status: number, answer: string, retryAfter: string | string[] | undefined): WeirError {
  const seconds = Number(retryAfter);
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined;
  try {
    const problem = JSON.parse(answer) as { code?: string; detail?: string; title?: string };
    return new WeirError(status, problem.code ?? 'unknown', problem.detail ?? problem.title ?? answer, retryAfterMs);
  } catch {
    return new WeirError(status, 'unknown', `status ${status}: ${answer.slice(0, 200)}`, retryAfterMs);
  }
}

function isRefused(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  const within = (error as { errors?: { code?: string }[] }).errors;
  return code === 'ECONNREFUSED' || (within?.some(({ code }) => code === 'ECONNREFUSED') ?? false);
}

function told(url: string, error: unknown, options: RequestOptions): unknown {
  if (error instanceof WeirError || options.signal?.aborted) {
    return error;
  }
  return new WeirConnectionError(url, error);
}
