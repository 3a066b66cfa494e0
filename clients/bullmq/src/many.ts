// Changes of many jobs of a queue at once, and of all.

import type { Changing } from './changing.js';
import { each } from './each.js';
import { WeirError, isMissing } from './errors.js';
import { idOf } from './job-json.js';
import type { Jobs } from './jobs.js';
import { jobsOf } from './listing.js';
import type { State } from './native.js';
import type { Place } from './place.js';
import { isPaused } from './queue.js';
import type { QueueConfig } from './queue.js';
import type { Schedulers } from './schedulers.js';
import { jobPath, queuePath } from './server.js';
import type { Server } from './server.js';

export class Many {
  constructor(
    private readonly server: Server,
    private readonly place: Place,
    private readonly config: QueueConfig,
    private readonly jobs: Jobs,
    private readonly changing: Changing,
    private readonly schedulers: Schedulers,
  ) {}

  get #queue(): string {
    return this.place.queue;
  }

  async retry(state: 'completed' | 'failed' = 'failed', count = 1_000, timestamp?: number): Promise<number> {
    if (timestamp !== undefined && timestamp < Date.now()) {
      // The server picks by when jobs were added; BullMQ asks for when they finished.
      const ids = await this.#finishedBefore(state, timestamp, count);
      await each(ids, async jobId => {
        await this.changing.change(jobId, state, 'retryJobs', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'retry'), { reset: false }));
      });
      return ids.length >= count ? 1 : 0;
    }
    return this.#bulk('jobs/retry', { states: [state], max: count }, count);
  }

  promote(count = 1_000): Promise<number> {
    return this.#bulk('jobs/promote', { max: count }, count);
  }

  /** Whether there may be more to do: BullMQ's cursor. */
  async #bulk(what: string, body: Record<string, unknown>, count: number): Promise<number> {
    const answer = await this.config.found(() =>
      this.server.ask<{ changed: number; cursor?: string }>('POST', queuePath(this.#queue, what), body),
    );
    return answer.cursor !== undefined || answer.changed >= count ? 1 : 0;
  }

  async #bulkAll(what: string, body: Record<string, unknown>): Promise<void> {
    let cursor: string | undefined;
    do {
      const request = cursor === undefined ? body : { ...body, cursor };
      const answer = await this.config.found(() => this.server.ask<{ cursor?: string }>('POST', queuePath(this.#queue, what), request));
      cursor = answer.cursor;
    } while (cursor !== undefined);
  }

  async drain(delayed: boolean): Promise<void> {
    const states: State[] = delayed ? ['ready', 'delayed'] : ['ready'];
    const schedulers = await this.schedulers.all();
    if (schedulers.length === 0) {
      await this.#bulkAll('drain', { states });
      return;
    }
    // The next iterations of schedulers stay.
    const kept = new Set(schedulers.map(({ id, next }) => `repeat:${id}:${next}`));
    for (const type of ['wait', 'prioritized', ...(delayed ? ['delayed'] : [])]) {
      const ids = (await this.#ids(type)).filter(id => !kept.has(id));
      await each(ids, id => this.jobs.remove(id));
    }
  }

  async #ids(type: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const job of jobsOf(this.server, this.#queue, type)) {
      ids.push(idOf(job));
    }
    return ids;
  }

  /** Finished jobs that ended by then, the oldest first. */
  async #finishedBefore(state: string, timestamp: number, limit: number): Promise<string[]> {
    await this.config.ensure();
    const found: string[] = [];
    for await (const job of jobsOf(this.server, this.#queue, state)) {
      if ((job.finished_at_ms ?? Infinity) <= timestamp) {
        found.push(idOf(job));
      }
    }
    return found.reverse().slice(0, limit);
  }

  async clean(state: string, timestamp: number, limit = 0): Promise<string[]> {
    const most = limit > 0 ? limit : Infinity;
    let ids: string[];
    if (state === 'active') {
      // Jobs without a lock: there are none that are active.
      return [];
    } else if (state === 'completed' || state === 'failed') {
      ids = await this.#finishedBefore(state, timestamp, most);
    } else if (state === 'paused') {
      return [];
    } else {
      const kept = new Set((await this.schedulers.all()).map(({ id, next }) => `repeat:${id}:${next}`));
      ids = [];
      for await (const job of jobsOf(this.server, this.#queue, state)) {
        if (job.added_at_ms <= timestamp && !kept.has(idOf(job)) && ids.length < most) {
          ids.push(idOf(job));
        }
      }
    }
    const removed = new Set<string>();
    await each(ids, async id => {
      if ((await this.jobs.remove(id)) === 'removed') {
        removed.add(id);
      }
    });
    await this.config.tell('cleaned', { count: String(removed.size) });
    return ids.filter(id => removed.has(id));
  }

  async obliterate(force: boolean): Promise<number> {
    const queue = await this.config.get();
    if (!isPaused(queue)) {
      throw new Error('Cannot obliterate non-paused queue');
    }
    try {
      await this.server.ask('POST', queuePath(this.#queue, 'obliterate'), { force });
    } catch (error) {
      if (error instanceof WeirError && error.code === 'queue.active') {
        throw new Error('Cannot obliterate queue with active jobs');
      }
      if (!isMissing(error)) {
        throw error;
      }
    }
    this.server.known.delete(this.#queue);
    await this.config.removeLimiter();
    await this.schedulers.removeAll();
    return 0;
  }
}
