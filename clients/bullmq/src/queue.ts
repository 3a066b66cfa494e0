// A queue's configuration: made with BullMQ's defaults where the queue is new, and changed as BullMQ's options ask.

import { WeirError } from './errors.js';
import type { Keep, Limiter, Queue } from './native.js';
import type { Place } from './place.js';
import { queuePath } from './server.js';
import type { Server } from './server.js';
import { encode } from './signature.js';

/** Tags of the queue that are BullMQ's metadata. */
const TAG = 'bullmq.';
/** A thousand years: BullMQ keeps jobs until somebody removes them. */
const FOR_EVER_MS = 31_622_400_000_000;

interface RateLimit {
  max: number;
  duration: number;
}

/** What a worker asks of its queue. */
export interface WorkerWishes {
  stallsMax: number;
  keepCompleted?: Keep | undefined;
  keepFailed?: Keep | undefined;
  limiter?: RateLimit | undefined;
}

export class QueueConfig {
  /** What a worker asked for, and of which queue: of the name there may be another one by now. */
  #served: { wishes: WorkerWishes; created: number } | undefined;

  constructor(
    private readonly server: Server,
    private readonly place: Place,
  ) {}

  get #queue(): string {
    return this.place.queue;
  }

  /** Sees to it that the queue is there. */
  async ensure(): Promise<void> {
    await ensureQueue(this.server, this.#queue, this.place.limiter);
  }

  async get(): Promise<Queue> {
    return this.found(() => this.server.ask<Queue>('GET', queuePath(this.#queue)));
  }

  /** Does something with the queue, which is made where it is missing. */
  async found<T>(ask: () => Promise<T>): Promise<T> {
    await this.ensure();
    try {
      return await ask();
    } catch (error) {
      if (!isNotThere(error)) {
        throw error;
      }
      this.server.known.delete(this.#queue);
      await this.ensure();
      await this.#serveAnew();
      return ask();
    }
  }

  /** BullMQ's metadata of the queue. */
  async meta(): Promise<Record<string, string>> {
    const queue = await this.get();
    const meta: Record<string, string> = {};
    for (const [name, value] of Object.entries(queue.tags)) {
      if (name.startsWith(TAG) && name !== `${TAG}limiter`) {
        meta[name.slice(TAG.length)] = value;
      }
    }
    if (isPaused(queue)) {
      meta['paused'] = '1';
    }
    return meta;
  }

  /** Sets fields of the metadata, and removes those without a value. Says how many were there before. */
  setMeta(values: Record<string, string | number | undefined>): Promise<number> {
    return this.server.inTurn(this.#queue, () => this.#setMeta(values));
  }

  async #setMeta(values: Record<string, string | number | undefined>): Promise<number> {
    const queue = await this.get();
    const changes = Object.entries(values).map(([name, value]) => [TAG + name, value === undefined ? null : String(value)] as const);
    const after = await this.#tag(queue, Object.fromEntries(changes));
    if (limitsOf(after.tags) !== limitsOf(queue.tags)) {
      await this.#limit(after);
    }
    return changes.filter(([tag]) => tag in queue.tags).length;
  }

  /** Changes tags: what others change meanwhile takes effect too. */
  async #tag(queue: Queue, changes: Record<string, string | null>): Promise<Queue> {
    if (Object.entries(changes).every(([tag, value]) => (queue.tags[tag] ?? null) === value)) {
      return queue;
    }
    return this.found(() => this.server.ask<Queue>('PATCH', queuePath(this.#queue, 'tags'), changes, { repeatable: true }));
  }

  /** Brings the queue in line with what a worker asks for; the worker that starts last has its way. */
  serve(wishes: WorkerWishes): Promise<void> {
    return this.server.inTurn(this.#queue, () => this.#serve(wishes));
  }

  /** Does so again where the queue was removed, and another one has its name. */
  serveAnew(): Promise<void> {
    return this.server.inTurn(this.#queue, () => this.#serveAnew());
  }

  async #serveAnew(): Promise<void> {
    if (this.#served && this.#served.created !== (await this.get()).created_at_ms) {
      await this.#serve(this.#served.wishes);
    }
  }

  async #serve(wishes: WorkerWishes): Promise<void> {
    const queue = await this.get();
    const change: Record<string, unknown> = {};
    if (queue.stalls_max !== wishes.stallsMax) {
      change['stalls_max'] = wishes.stallsMax;
    }
    if (wishes.keepCompleted && !same(wishes.keepCompleted, queue.keep_completed)) {
      change['keep_completed'] = wishes.keepCompleted;
    }
    if (wishes.keepFailed && !same(wishes.keepFailed, queue.keep_failed)) {
      change['keep_failed'] = wishes.keepFailed;
    }
    if (Object.keys(change).length > 0) {
      await this.found(() => this.server.ask('PATCH', queuePath(this.#queue), change));
    }
    const limiter = wishes.limiter && `${wishes.limiter.max}/${wishes.limiter.duration}`;
    if (limiter) {
      await this.#limit(await this.#tag(queue, { [`${TAG}limiter`]: limiter }));
    }
    this.#served = { wishes, created: queue.created_at_ms };
  }

  /** The queue's limiter allows what its tags say. A global rate limit comes before that of a worker. */
  async #limit(queue: Queue): Promise<void> {
    const name = this.place.limiter;
    for (let { tags } = queue, put = ''; put !== limitsOf(tags); { tags } = await this.get()) {
      put = limitsOf(tags);
      const rate = rateOf(tags);
      const concurrency = Number(tags[`${TAG}concurrency`]);
      const terms = {
        windows: rate ? [{ max: rate.max, per_ms: rate.duration }] : [],
        ...(concurrency > 0 ? { concurrency } : {}),
      };
      // BullMQ counts from when a limit is set. Where another program sets one meanwhile, the last to look has seen both.
      await this.server.ask('PUT', `/v1/limiters/${encode(name)}?unknown=empty`, terms);
    }
    if (!queue.limiters.some(({ limiter }) => limiter === name)) {
      const limiters = [...queue.limiters, { limiter: name }];
      await this.found(() => this.server.ask('PATCH', queuePath(this.#queue), { limiters }));
    }
  }

  async pause(pause: boolean): Promise<void> {
    const what = pause ? 'pause' : 'resume';
    await this.found(() => this.server.ask('POST', queuePath(this.#queue, what), {}, { repeatable: true }));
  }

  /** Tells those who watch the queue. Says under which id, if anybody does. */
  async tell(name: string, data: Record<string, string | number>): Promise<string | undefined> {
    const publish = () => this.server.ask<{ id?: string }>('POST', queuePath(this.#queue, 'events'), { name, data });
    return (await this.found(publish)).id;
  }

  /** Whether as many jobs run as may. */
  async isMaxed(): Promise<boolean> {
    const limiter = await this.limiter();
    const concurrency = limiter?.limiter.terms.concurrency;
    return concurrency !== undefined && (limiter?.state.running ?? 0) >= concurrency;
  }

  /** For how long nothing is given out: -2 where nothing is limited. */
  async rateLimitTtl(): Promise<number> {
    const queue = await this.get();
    const now = Date.now();
    if (queue.paused_until_ms !== undefined) {
      return Math.max(0, queue.paused_until_ms - now);
    }
    const limiter = await this.limiter();
    const blocked = limiter?.state.blocked;
    if (blocked?.until_ms !== undefined) {
      return Math.max(0, blocked.until_ms - now);
    }
    return limiter && limiter.limiter.terms.windows.length > 0 ? 0 : -2;
  }

  /** Nothing of the queue is given out for a while: a pause that ends by itself. */
  async hold(ms: number): Promise<void> {
    const queue = await this.get();
    if (!isPaused(queue)) {
      const for_ms = Math.max(1, Math.ceil(ms));
      await this.found(() => this.server.ask('POST', queuePath(this.#queue, 'pause'), { for_ms }, { repeatable: true }));
    }
  }

  /** Ends such a pause. Says whether there was one. */
  async letGo(): Promise<boolean> {
    const queue = await this.get();
    if (!queue.paused || isPaused(queue)) {
      return false;
    }
    await this.pause(false);
    return true;
  }

  /** How the queue's limiter stands; nothing where it has none. */
  async limiter(): Promise<Limiter | undefined> {
    try {
      return await this.server.ask<Limiter>('GET', `/v1/limiters/${encode(this.place.limiter)}`);
    } catch (error) {
      if (error instanceof WeirError && error.code === 'limiter.not_found') {
        return undefined;
      }
      throw error;
    }
  }

  /** Removes the limiter, with the queue. */
  async removeLimiter(): Promise<void> {
    try {
      await this.server.ask('DELETE', `/v1/limiters/${encode(this.place.limiter)}`);
    } catch (error) {
      if (!(error instanceof WeirError && error.code === 'limiter.not_found')) {
        throw error;
      }
    }
  }
}

/** Whether somebody paused the queue: a pause that ends by itself is a rate limit. */
export function isPaused(queue: Queue): boolean {
  return queue.paused && queue.paused_until_ms === undefined;
}

function isNotThere(error: unknown): boolean {
  return error instanceof WeirError && error.code === 'queue.not_found';
}

/** Does something that needs queues, which are made where they are missing. */
export async function withQueue<T>(server: Server, queues: string[], ask: () => Promise<T>): Promise<T> {
  await Promise.all(queues.map(queue => ensureQueue(server, queue, `bullmq:${queue}`)));
  try {
    return await ask();
  } catch (error) {
    if (!isNotThere(error)) {
      throw error;
    }
    // Somebody deleted one.
    queues.forEach(queue => server.known.delete(queue));
    await Promise.all(queues.map(queue => ensureQueue(server, queue, `bullmq:${queue}`)));
    return ask();
  }
}

async function ensureQueue(server: Server, name: string, limiter: string): Promise<void> {
  if (server.known.has(name)) {
    return;
  }
  const settings = {
    keep_completed: {},
    keep_failed: {},
    retention_ms: FOR_EVER_MS,
    retry: { attempts_max: 1, backoff: { fixed_ms: 0 }, jitter_percent: 0 },
    stalls_max: 1,
    limiters: [{ limiter }],
  };
  try {
    await server.ask('POST', '/v1/queues', { name, settings }, { repeatable: true });
  } catch (error) {
    // One that somebody made with other settings serves as it is.
    if (!(error instanceof WeirError && error.code === 'queue.exists')) {
      throw error;
    }
  }
  server.known.add(name);
}

function rateOf(tags: Record<string, string>): RateLimit | undefined {
  const [max, duration] = [Number(tags[`${TAG}max`]), Number(tags[`${TAG}duration`])];
  if (max > 0 && duration > 0) {
    return { max, duration };
  }
  const [ofWorker, per] = (tags[`${TAG}limiter`] ?? '').split('/').map(Number);
  return ofWorker && per ? { max: ofWorker, duration: per } : undefined;
}

function limitsOf(tags: Record<string, string>): string {
  return JSON.stringify([rateOf(tags), tags[`${TAG}concurrency`]]);
}

function same(one: object, other: object): boolean {
  const sorted = (all: object) => JSON.stringify(Object.entries(all).filter(([, value]) => value !== null).sort());
  return sorted(one) === sorted(other);
}

