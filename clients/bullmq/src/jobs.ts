// One job: where it stands, and all about it.

import type { JobJson, JobState } from 'bullmq';
import { childrenOf } from './children.js';
import { WeirError, isMissing } from './errors.js';
import { failedReasonOf, idOf, jobJson } from './job-json.js';
import type { Job, Log, State } from './native.js';
import type { Place } from './place.js';
import { jobPath } from './server.js';
import type { Server } from './server.js';

export class Jobs {
  constructor(
    private readonly server: Server,
    private readonly place: Place,
  ) {}

  get #queue(): string {
    return this.place.queue;
  }

  async get(jobId: string, queue = this.#queue): Promise<Job | undefined> {
    try {
      return await this.server.ask<Job>('GET', jobPath(queue, jobId));
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
  }

  async state(jobId: string): Promise<JobState | 'unknown'> {
    const job = await this.get(jobId);
    const states: Record<State, JobState | 'unknown'> = {
      ready: (job?.priority ?? 0) > 0 ? 'prioritized' : 'waiting',
      delayed: 'delayed',
      leased: 'active',
      waiting: 'waiting-children',
      completed: 'completed',
      failed: 'failed',
      removed: 'unknown',
    };
    return job ? states[job.state] : 'unknown';
  }

  async isFinished(jobId: string, returnValue = false): Promise<number | [number, string]> {
    const job = await this.get(jobId);
    if (!job) {
      return returnValue ? [-1, `Missing key for job ${this.place.key(jobId)}. isFinished`] : -1;
    }
    const status = job.state === 'completed' ? 1 : job.state === 'failed' ? 2 : 0;
    if (!returnValue) {
      return status;
    }
    const told = ['', JSON.stringify(job.result ?? null), status === 2 ? await this.failedReason(job) : ''];
    return [status, told[status] ?? ''];
  }

  async json(jobId: string): Promise<JobJson | undefined> {
    const job = await this.get(jobId);
    if (!job) {
      return undefined;
    }
    const json = jobJson(job);
    return job.failed === 'child_failed' ? { ...json, failedReason: await this.failedReason(job) } : json;
  }

  /** Why a job failed: of one that failed with its child BullMQ names the child. */
  async failedReason(job: Job): Promise<string> {
    if (job.failed === 'child_failed') {
      const children = await childrenOf(this.server, this.#queue, idOf(job));
      const failed = children.find(({ standing }) => standing === 'failed');
      if (failed) {
        return `child ${failed.key} failed`;
      }
    }
    return failedReasonOf(job) ?? '';
  }

  async logs(jobId: string, start: number, end: number, asc: boolean): Promise<{ logs: string[]; count: number }> {
    const lines: string[] = [];
    let first: number | undefined;
    let total = 0;
    try {
      do {
        const from = first === undefined ? '' : `&from=${first + lines.length}`;
        const page = await this.server.ask<Log>('GET', `${jobPath(this.#queue, jobId, 'logs')}?limit=256${from}`);
        first ??= page.from;
        total = page.total;
        lines.push(...page.lines);
        if (page.lines.length === 0) {
          break;
        }
      } while (first + lines.length < total);
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
    const ordered = asc ? lines : [...lines].reverse();
    const from = start < 0 ? Math.max(0, ordered.length + start) : start;
    const logs = ordered.slice(from, end < 0 ? ordered.length + end + 1 : end + 1);
    return { logs: asc ? logs : logs.reverse(), count: lines.length };
  }

  /** Removes a job unless somebody works on it. */
  async remove(jobId: string, queue = this.#queue, children: 'remove' | 'keep' = 'remove'): Promise<'removed' | 'leased' | 'missing'> {
    try {
      await this.server.ask('DELETE', `${jobPath(queue, jobId)}?children=${children}`, undefined, { repeatable: true });
      return 'removed';
    } catch (error) {
      if (isMissing(error)) {
        return 'missing';
      }
      // In any other state it can be removed.
      if (error instanceof WeirError && error.code === 'job.state') {
        return 'leased';
      }
      throw error;
    }
  }
}
