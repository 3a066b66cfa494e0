// What happens to jobs, as BullMQ's event stream tells it, from Weir's server-sent events.

import { WeirConnectionError, WeirError } from './errors.js';
import { failedReasonOf, idOf, reasonOf } from './job-json.js';
import type { Happening, Job, Queue, QueueHappening } from './native.js';
import { jobPath, queuePath } from './server.js';
import type { Server } from './server.js';

/** An entry of BullMQ's stream: its id, and names and values in turns. */
export type Entry = [string, string[]];

/** Entries that wait to be read at most; of more the oldest go, as BullMQ's stream is trimmed. */
const WAITING_MAX = 10_000;
/** The server says something every 15 seconds, if only that it is there. */
const SILENCE_MS = 45_000;

export class EventStream {
  #entries: Entry[] = [];
  #waiters: (() => void)[] = [];
  #connection: AbortController | undefined;
  #lastId: string | undefined;
  #error: unknown;
  /** Where jobs stood when they were told of last. */
  readonly #before = new Map<string, string>();
  #drained = true;
  /** Whether the queue's last pause was one that ends by itself: a rate limit, in BullMQ's words. */
  #limited = false;

  constructor(
    private readonly server: Server,
    private readonly queue: string,
    private readonly found: <T>(ask: () => Promise<T>) => Promise<T>,
  ) {}

  /** Resolves once the stream tells what happens from now on, or behind the given id. */
  async open(after?: string): Promise<void> {
    if (this.#connection) {
      return;
    }
    this.#lastId = after ?? this.#lastId;
    const connection = new AbortController();
    this.#connection = connection;
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (this.#lastId !== undefined) {
        headers['last-event-id'] = this.#lastId;
      }
      const body = await this.found(async () => {
        const path = queuePath(this.queue, 'events');
        const answer = await this.server.stream({ method: 'GET', path, text: '', headers, signal: connection.signal, silenceMs: SILENCE_MS });
        if (answer.statusCode !== 200) {
          const text = await answer.body.text();
          const code = text.includes('queue.not_found') ? 'queue.not_found' : 'unknown';
          throw new WeirError(answer.statusCode, code, `the events of ${this.queue} cannot be read: ${text.slice(0, 200)}`);
        }
        return answer.body;
      });
      this.#read(body, connection);
    } catch (error) {
      this.#connection = undefined;
      throw error instanceof WeirError ? error : new WeirConnectionError(this.server.url, error);
    }
  }

  /** Entries behind those that were read before; none after so many milliseconds without any. */
  async read(after: string, waitMs: number): Promise<Entry[]> {
    if (this.#entries.length === 0) {
      await this.open(after === '$' ? undefined : after);
    }
    if (this.#entries.length === 0) {
      await this.#somethingOrAfter(waitMs);
    }
    if (this.#error !== undefined && this.#entries.length === 0) {
      const error = this.#error;
      this.#error = undefined;
      throw error;
    }
    return this.#entries.splice(0);
  }

  close(): void {
    this.#connection?.abort();
    this.#wake();
  }

  #wake(): void {
    this.#waiters.splice(0).forEach(wake => wake());
  }

  #somethingOrAfter(waitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = waitMs > 0 ? setTimeout(resolve, waitMs) : undefined;
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #read(body: AsyncIterable<Buffer>, connection: AbortController): Promise<void> {
    try {
      let text = '';
      const decoder = new TextDecoder();
      for await (const bytes of body) {
        text += decoder.decode(bytes, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          await this.#take(block);
        }
        this.#wake();
      }
      throw new Error('the stream of events ended');
    } catch (error) {
      if (!connection.signal.aborted) {
        this.#error = new WeirConnectionError(this.server.url, error);
      }
    } finally {
      if (this.#connection === connection) {
        this.#connection = undefined;
      }
      this.#wake();
    }
  }

  async #take(block: string): Promise<void> {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const at = line.indexOf(': ');
      if (at > 0) {
        fields.set(line.slice(0, at), line.slice(at + 2));
      }
    }
    const data = fields.get('data');
    if (fields.has('id')) {
      this.#lastId = fields.get('id');
    }
    if (data === undefined || fields.get('event') === 'gap') {
      return;
    }
    const told = JSON.parse(data) as Happening | QueueHappening;
    const events = told.id === undefined ? this.#ofQueue(told) : await this.#entriesOf(told);
    for (const event of events) {
      const flat = Object.entries(event).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
      this.#entries.push([this.#lastId ?? '', flat]);
    }
    this.#entries.splice(0, Math.max(0, this.#entries.length - WAITING_MAX));
  }

  /** BullMQ's events for what happened to the queue, or what a program said. */
  #ofQueue({ type, until_ms, name = '', data }: QueueHappening): Record<string, string>[] {
    switch (type) {
      case 'paused':
        this.#limited = until_ms !== undefined;
        return this.#limited ? [] : [{ event: 'paused' }];
      case 'resumed': {
        const limited = this.#limited;
        this.#limited = false;
        return limited ? [] : [{ event: 'resumed' }];
      }
      case 'published': {
        const given = data !== null && typeof data === 'object' && !Array.isArray(data) ? Object.entries(data) : [['data', data]];
        const fields = given.map(([field, value]) => [field, typeof value === 'string' ? value : JSON.stringify(value ?? null)]);
        return [{ ...Object.fromEntries(fields), event: name }];
      }
      default:
        return [];
    }
  }

  /** BullMQ's events for one of ours. */
  async #entriesOf(told: Happening): Promise<Record<string, string | undefined>[]> {
    const { type } = told;
    const jobId = await this.#idOf(told);
    const prev = this.#before.get(told.id);
    this.#moved(told);
    switch (type) {
      case 'added':
        return [{ event: 'added', jobId, name: told.name ?? (await this.#job(told.id))?.name ?? '' }, ...stands(told, jobId)];
      case 'ready':
        return [{ event: 'waiting', jobId, prev }];
      case 'delayed':
        return [{ event: 'delayed', jobId, delay: String(told.until_ms ?? 0) }];
      case 'waiting_for_children':
        return [{ event: 'waiting-children', jobId }];
      case 'started':
        this.#drained = false;
        return [{ event: 'active', jobId, prev: 'waiting' }];
      case 'progress':
        return [{ event: 'progress', jobId, data: JSON.stringify(told.progress ?? null) }];
      case 'completed':
        return [
          { event: 'completed', jobId, returnvalue: JSON.stringify(told.result ?? null), prev: 'active' },
          ...(await this.#drainedNow()),
        ];
      case 'failed':
        return [...(await this.#failed(told, jobId)), ...(await this.#drainedNow())];
      case 'stalled':
        return [{ event: 'stalled', jobId }, { event: 'waiting', jobId, prev: 'active' }];
      case 'removed':
        return [{ event: 'removed', jobId, prev }];
      case 'deduplicated': {
        const { custom_id, deduplication_id: deduplicationId } = told;
        if (deduplicationId === undefined) {
          return [{ event: 'duplicated', jobId }];
        }
        // One that has no id of its own choice never had any.
        return [{ event: 'deduplicated', jobId, deduplicationId, deduplicatedJobId: custom_id ?? jobId }];
      }
      default:
        return [];
    }
  }

  async #failed(told: Happening, jobId: string): Promise<Record<string, string | undefined>[]> {
    const job = await this.#job(told.id);
    const failedReason = (job && failedReasonOf(job)) ?? reasonOf(told.failure, told.error);
    const events: Record<string, string>[] = [{ event: 'failed', jobId, failedReason, prev: 'active' }];
    if (job && told.failure === 'reported' && job.failures >= (job.retry.attempts_max ?? 1)) {
      events.push({ event: 'retries-exhausted', jobId, attemptsMade: String(job.failures) });
    }
    return events;
  }

  #moved(told: Happening): void {
    const states: Record<string, string> = {
      ready: 'waiting',
      delayed: 'delayed',
      started: 'active',
      attempt_failed: 'active',
      waiting_for_children: 'waiting-children',
    };
    if (told.type === 'completed' || told.type === 'failed' || told.type === 'removed') {
      this.#before.delete(told.id);
      return;
    }
    const state = told.type === 'added' ? stateOf(told) : states[told.type];
    if (state) {
      this.#before.set(told.id, state);
    }
  }

  /** BullMQ tells when nothing is left to do; here it is seen by looking. */
  async #drainedNow(): Promise<Record<string, string>[]> {
    if (this.#drained) {
      return [];
    }
    const { counters } = await this.server.ask<Queue>('GET', queuePath(this.queue));
    this.#drained = counters.ready === 0 && counters.leased === 0;
    return this.#drained ? [{ event: 'drained' }] : [];
  }

  /** The id by which BullMQ knows the job. */
  async #idOf(told: Happening): Promise<string> {
    if (told.type === 'added' && told.name !== undefined) {
      const id = told.custom_id ?? told.id;
      this.server.remember(this.queue, told.id, id);
      return id;
    }
    const job = this.server.remembered(this.queue, told.id) ?? (await this.#job(told.id));
    if (job !== undefined) {
      return typeof job === 'string' ? job : idOf(job);
    }
    // What is told of another job says nothing of the id of this one.
    return told.type === 'deduplicated' ? told.id : idOf(told);
  }

  async #job(id: string): Promise<Job | undefined> {
    try {
      const job = await this.server.ask<Job>('GET', jobPath(this.queue, id));
      this.server.remember(this.queue, job.id, idOf(job));
      return job;
    } catch (error) {
      if (error instanceof WeirError && error.status === 404) {
        return undefined;
      }
      throw error;
    }
  }
}

function stateOf({ state }: Happening): string {
  return state === 'waiting' ? 'waiting-children' : state === 'delayed' ? 'delayed' : 'waiting';
}

function stands(told: Happening, jobId: string): Record<string, string>[] {
  const state = stateOf(told);
  return [state === 'delayed' ? { event: 'delayed', jobId, delay: String(told.until_ms ?? 0) } : { event: state, jobId }];
}
