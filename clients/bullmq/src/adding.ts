// Adding jobs: those that are added at the same time go together.

import type { JobJson, JobsOptions } from 'bullmq';
import { Code, WeirError, bullError } from './errors.js';
import { addFlow } from './flow.js';
import type { FlowEntry } from './flow.js';
import { Group } from './group.js';
import { newJob } from './job-json.js';
import type { AddedJob, NewJob } from './native.js';
import { qualifiedOf } from './place.js';
import type { Place } from './place.js';
import type { QueueConfig } from './queue.js';
import { queuePath } from './server.js';
import type { Server } from './server.js';

/** Most jobs of a request. */
const BULK_MAX = 10_000;

export class Adding {
  readonly #group: Group<NewJob, AddedJob>;

  constructor(
    private readonly server: Server,
    private readonly place: Place,
    private readonly config: QueueConfig,
  ) {
    this.#group = new Group(jobs => this.#addGroup(jobs), { most: 1_000, onTheWayMost: 2 });
  }

  get #queue(): string {
    return this.place.queue;
  }

  /** Adds a job, with others that are added at the same time. */
  push(job: NewJob): Promise<AddedJob> {
    return this.#group.push(job);
  }

  /** Resolves once nothing is on its way. */
  settled(): Promise<void> {
    return this.#group.settled();
  }

  async one(job: JobJson, jobId: string): Promise<string> {
    return this.#added(await this.push(this.#newJob(job, jobId)), jobId, job);
  }

  async many(entries: { job: JobJson; jobId: string }[]): Promise<string[]> {
    const added: AddedJob[] = [];
    for (let from = 0; from < entries.length; from += BULK_MAX) {
      const jobs = entries.slice(from, from + BULK_MAX).map(({ job, jobId }) => this.#newJob(job, jobId));
      added.push(...(await this.#addAll(jobs, entries[from]?.job)));
    }
    return added.map((one, at) => this.#added(one, entries[at]?.jobId ?? '', entries[at]?.job));
  }

  #newJob(job: JobJson, jobId: string): NewJob {
    const opts = job.repeatJobKey ? ({ ...job.opts, repeatJobKey: job.repeatJobKey } as JobsOptions) : job.opts;
    return newJob({ ...job, opts }, jobId);
  }

  #added(added: AddedJob, jobId: string, job: JobJson | undefined): string {
    // One that another job's deduplication kept away has the id of that job.
    return added.duplicate && job?.opts.deduplication ? (this.server.remembered(this.#queue, added.id) ?? added.id) : jobId || added.id;
  }

  async #addAll(jobs: NewJob[], first: JobJson | undefined): Promise<AddedJob[]> {
    try {
      const answer = await this.config.found(() =>
        this.server.ask<{ jobs: AddedJob[] }>('POST', queuePath(this.#queue, 'jobs'), { jobs }),
      );
      return answer.jobs;
    } catch (error) {
      const parent = jobs.find(job => job.parent)?.parent;
      if (error instanceof WeirError && error.status === 404 && parent) {
        const parentKey = first?.parentKey ?? `${qualifiedOf(parent.queue)}:${parent.id}`;
        throw bullError(Code.ParentJobNotExist, 'addJob', { parentKey });
      }
      throw error;
    }
  }

  /** Jobs that were added one by one at the same time. One that is refused does not keep the others away. */
  async #addGroup(jobs: NewJob[]): Promise<(AddedJob | Promise<AddedJob>)[]> {
    try {
      return await this.#addAll(jobs, undefined);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      const refused = (error instanceof WeirError && error.status < 500) || code === Code.ParentJobNotExist;
      if (jobs.length === 1 || !refused) {
        throw error;
      }
      const outcomes = await Promise.allSettled(jobs.map(job => this.#addAll([job], undefined)));
      return outcomes.map(outcome => {
        if (outcome.status === 'fulfilled') {
          return outcome.value[0] as AddedJob;
        }
        return Promise.reject<AddedJob>(outcome.reason as Error);
      });
    }
  }

  async flow(entries: FlowEntry[]): Promise<[Error | null, string | number][]> {
    try {
      const ids = await addFlow(this.server, entries);
      return ids.map(id => [null, id]);
    } catch (error) {
      if (error instanceof WeirError && error.status === 404) {
        return entries.map(() => [null, Code.ParentJobNotExist]);
      }
      return entries.map(() => [error as Error, 0]);
    }
  }
}
