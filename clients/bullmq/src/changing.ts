// Changes of one job, and of who else is kept away by it.

import type { JobProgress, MinimalJob, RetryOptions } from 'bullmq';
import { childrenOf } from './children.js';
import { each } from './each.js';
import { Code, WeirError, bullError, isMissing } from './errors.js';
import { idOf } from './job-json.js';
import type { Jobs } from './jobs.js';
import type { Job, Log, State } from './native.js';
import { Place, parseKey } from './place.js';
import type { Schedulers } from './schedulers.js';
import { jobPath, queuePath } from './server.js';
import type { Server } from './server.js';
import { encode } from './signature.js';

export class Changing {
  constructor(
    private readonly server: Server,
    private readonly place: Place,
    private readonly jobs: Jobs,
    private readonly schedulers: Schedulers,
  ) {}

  get #queue(): string {
    return this.place.queue;
  }

  async retry<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    state: 'failed' | 'completed',
    opts: RetryOptions = {},
  ): Promise<void> {
    const command = 'reprocessJob';
    const jobId = job.id ?? '';
    await this.#inState(jobId, state, state, command);
    const again = { reset: opts.resetAttemptsMade === true, reset_starts: opts.resetAttemptsStarted === true };
    await this.change(jobId, state, command, () => this.server.ask('POST', jobPath(this.#queue, jobId, 'retry'), again));
  }

  async promote(jobId: string): Promise<void> {
    await this.change(jobId, 'delayed', 'promote', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'promote')));
  }

  async changeDelay(jobId: string, delay: number): Promise<void> {
    await this.#inState(jobId, 'delayed', 'delayed', 'changeDelay');
    await this.change(jobId, 'delayed', 'changeDelay', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { delay_ms: Math.max(0, Math.ceil(delay)) }),
    );
  }

  async changePriority(jobId: string, priority = 0, lifo = false): Promise<void> {
    await this.change(jobId, 'waiting', 'changePriority', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { priority, lifo }),
    );
  }

  async updateData<T = unknown, R = unknown, N extends string = string>(job: MinimalJob<T, R, N>, data: T): Promise<void> {
    const jobId = job.id ?? '';
    await this.change(jobId, 'waiting', 'updateData', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { data: data ?? null }),
    );
  }

  async updateProgress(jobId: string, progress: JobProgress): Promise<void> {
    await this.change(jobId, 'active', 'updateProgress', () =>
      this.server.ask('POST', jobPath(this.#queue, jobId, 'report'), { progress: progress ?? null }),
    );
  }

  async addLog(jobId: string, logRow: string, keepLogs?: number): Promise<number> {
    const report = { logs: [logRow], ...(keepLogs ? { logs_max: keepLogs } : {}) };
    await this.change(jobId, 'active', 'addLog', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'report'), report));
    const { from, total } = await this.server.ask<Log>('GET', `${jobPath(this.#queue, jobId, 'logs')}?limit=1`);
    return total - from;
  }

  async clearLogs(jobId: string, keepLogs = 0): Promise<void> {
    try {
      await this.server.ask('POST', jobPath(this.#queue, jobId, 'report'), { logs_max: keepLogs }, { repeatable: true });
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
  }

  /** Asks for a change of a job, and says in BullMQ's words why it is refused. */
  async change(jobId: string, state: string, command: string, ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (isMissing(error)) {
        throw bullError(Code.JobNotExist, command, { jobId });
      }
      if (error instanceof WeirError && error.code === 'job.state') {
        throw bullError(Code.JobNotInState, command, { jobId, state });
      }
      throw error;
    }
  }

  async #inState(jobId: string, state: State, name: string, command: string): Promise<void> {
    const job = await this.jobs.get(jobId);
    if (!job) {
      throw bullError(Code.JobNotExist, command, { jobId });
    }
    if (job.state !== state) {
      throw bullError(Code.JobNotInState, command, { jobId, state: name });
    }
  }

  async remove(jobId: string, removeChildren: boolean): Promise<number> {
    const job = await this.jobs.get(jobId);
    if (!job) {
      return 1;
    }
    if (await this.schedulers.owns(job)) {
      throw bullError(Code.JobBelongsToJobScheduler, 'removeJob', { jobId });
    }
    const done = await this.jobs.remove(jobId, this.#queue, removeChildren ? 'remove' : 'keep');
    return done === 'leased' ? 0 : 1;
  }

  async removeUnprocessedChildren(jobId: string): Promise<void> {
    const children = await childrenOf(this.server, this.#queue, jobId);
    const waiting = children.filter(({ standing }) => standing === 'unprocessed');
    await each(waiting, async ({ key }) => {
      const { prefix, queueName, id } = parseKey(key);
      await this.jobs.remove(id, new Place(prefix, queueName).queue);
    });
  }

  /** Parts a job from its parent. Says whether that waited for it. */
  async removeChildDependency(jobId: string, parentKey: string | undefined): Promise<boolean> {
    const command = 'removeChildDependency';
    if (parentKey === undefined) {
      return false;
    }
    const { prefix, queueName, id } = parseKey(parentKey);
    if (!(await this.jobs.get(id, new Place(prefix, queueName).queue))) {
      throw bullError(Code.ParentJobNotExist, command, { parentKey });
    }
    try {
      await this.server.ask('DELETE', jobPath(this.#queue, jobId, 'parent'));
      return true;
    } catch (error) {
      if (isMissing(error)) {
        throw bullError(Code.JobNotExist, command, { jobId });
      }
      if (error instanceof WeirError && (error.code === 'job.no_parent' || error.code === 'job.state')) {
        return false;
      }
      throw error;
    }
  }

  freeDeduplication(deduplicationId: string, jobId: string): Promise<number> {
    return this.#forgetDeduplication(deduplicationId, `?job=${encode(jobId)}`);
  }

  forgetDeduplication(deduplicationId: string): Promise<number> {
    return this.#forgetDeduplication(deduplicationId, '');
  }

  async #forgetDeduplication(id: string, query: string): Promise<number> {
    try {
      await this.server.ask('DELETE', `${queuePath(this.#queue, 'deduplication', encode(id))}${query}`);
      return 1;
    } catch (error) {
      if (isMissing(error)) {
        return 0;
      }
      throw error;
    }
  }

  async deduplicationJobId(deduplicationId: string): Promise<string | null> {
    try {
      return idOf(await this.server.ask<Job>('GET', queuePath(this.#queue, 'deduplication', encode(deduplicationId))));
    } catch (error) {
      if (isMissing(error)) {
        return null;
      }
      throw error;
    }
  }
}
