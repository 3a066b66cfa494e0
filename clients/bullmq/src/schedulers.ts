// Job schedulers. Weir has no entity for them yet: their records are jobs of a paused queue of their own, under the
// scheduler's id, and each iteration is a delayed job of the queue whose id names scheduler and time.

import type { JobJson, JobsOptions, RepeatableOptions } from 'bullmq';
import { Code, WeirError, bullError, isMissing } from './errors.js';
import { newJob } from './job-json.js';
import type { AddedJob, Job, NewJob } from './native.js';
import type { Place } from './place.js';
import { withQueue } from './queue.js';
import { jobPath, queuePath } from './server.js';
import type { Server } from './server.js';

/** What is stored of a scheduler: BullMQ's fields as text, and the time of its next iteration. */
export interface Scheduler {
  next: number;
  fields: Record<string, string>;
}

/** Slots that are tried where jobs of former schedulers of the id are in the way. */
const SLOTS_MAX = 32;

export class Schedulers {
  #paused = false;

  constructor(
    private readonly server: Server,
    private readonly place: Place,
  ) {}

  async get(id: string): Promise<Scheduler | undefined> {
    const job = await this.#job(this.place.schedulers, nameOf(id));
    return job?.data as Scheduler | undefined;
  }

  /** All of them with their ids, by the time of their next iteration. */
  async all(): Promise<(Scheduler & { id: string })[]> {
    const found: (Scheduler & { id: string })[] = [];
    let cursor: string | undefined;
    do {
      const query = `states=ready&limit=256${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      let page: { jobs: { custom_id?: string; data: Scheduler }[]; cursor?: string };
      try {
        page = await this.server.ask('GET', `${queuePath(this.place.schedulers, 'jobs')}?${query}`);
      } catch (error) {
        if (error instanceof WeirError && error.code === 'queue.not_found') {
          return [];
        }
        throw error;
      }
      for (const { custom_id, data } of page.jobs) {
        found.push({ ...data, id: idOfName(custom_id ?? '') });
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found.sort((one, other) => one.next - other.next || (one.id < other.id ? -1 : 1));
  }

  /** Makes a scheduler, or changes it, and adds its next iteration. */
  async upsert(
    id: string,
    nextMillis: number,
    data: string,
    templateOpts: JobsOptions,
    repeat: RepeatableOptions,
    jobOpts: JobsOptions,
    add: (job: NewJob) => Promise<AddedJob>,
  ): Promise<[string, number]> {
    const now = Date.now();
    const before = await this.get(id);
    const every = repeat.every;
    let offset = repeat.offset ?? repeatOf(jobOpts)?.offset ?? 0;
    let next = nextMillis;
    const changed = before !== undefined && Number(before.fields['every']) !== every;
    let newOffset = offset;
    if (every) {
      [next, newOffset] = nextOf(changed ? undefined : before?.next, every, now, offset, repeat.startDate);
    }
    let removed = false;
    if (before) {
      removed = await this.#removeIteration(iterationOf(id, before.next));
    }
    if (removed && before && every && !changed) {
      next = before.next;
    } else if (!removed) {
      offset = newOffset;
    }
    for (let slots = 0; await this.#isTaken(id, next); slots += 1) {
      if (!every) {
        throw bullError(Code.SchedulerJobIdCollision, 'addJobScheduler');
      }
      if (slots >= SLOTS_MAX) {
        throw bullError(Code.SchedulerJobSlotsBusy, 'addJobScheduler');
      }
      next += every;
    }
    await this.#put(id, {
      next,
      fields: fieldsOf(repeat, removed ? (repeat.offset ?? undefined) : offset, data, templateOpts, before),
    });
    const delay = Math.max(0, next - now);
    const jobId = iterationOf(id, next);
    await add(iteration(jobId, repeat.name ?? id, data, { ...jobOpts, delay, jobId, repeatJobKey: id } as JobsOptions));
    return [jobId, delay];
  }

  /**
   * An iteration is being worked on: adds the one after it. Nothing where a later one is there already. The record may
   * be behind the iteration: who added this one may not have written it yet, or may never do so.
   */
  async advance(
    id: string,
    nextMillis: number,
    jobOpts: JobsOptions,
    producerId: string | undefined,
    add: (job: NewJob) => Promise<AddedJob>,
  ): Promise<string | null> {
    const scheduler = await this.get(id);
    const began = millisOf(id, producerId);
    if (!scheduler || began === undefined || began < scheduler.next) {
      return null;
    }
    const now = Date.now();
    const { fields } = scheduler;
    const every = Number(fields['every']) || repeatOf(jobOpts)?.every;
    let next = Math.floor(Number(nextMillis));
    if (every) {
      const offset = Number(fields['offset'] ?? repeatOf(jobOpts)?.offset ?? 0);
      [next] = nextOf(began, every, now, offset, undefined);
    }
    const jobId = iterationOf(id, next);
    const delay = Math.max(0, next - now);
    // First the job, which is there once however often this is done; then the record, so that a crash between the two
    // is mended when the iteration is worked on again.
    const added = await add(
      iteration(jobId, fields['name'] ?? id, fields['data'] ?? '{}', { ...jobOpts, delay, jobId, repeatJobKey: id } as JobsOptions),
    );
    const record: Scheduler = { next, fields: { ...fields, ic: String(Number(fields['ic'] ?? 1) + 1) } };
    if (!(await this.#replace(id, record))) {
      // It was removed meanwhile, and its iterations with it.
      await this.#removeIteration(jobId);
      return null;
    }
    return added.duplicate ? null : jobId;
  }

  async remove(id: string): Promise<boolean> {
    const scheduler = await this.get(id);
    if (!scheduler) {
      return false;
    }
    await this.#removeIteration(iterationOf(id, scheduler.next), ['delayed']);
    await this.#delete(this.place.schedulers, nameOf(id));
    return true;
  }

  /** Whether the job is the next iteration of a scheduler. */
  async owns(job: Job): Promise<boolean> {
    const match = /^repeat:(.*):(\d+)$/s.exec(job.custom_id ?? '');
    if (!match) {
      return false;
    }
    const scheduler = await this.get(match[1] as string);
    return scheduler !== undefined && scheduler.next === Number(match[2]);
  }

  async removeAll(): Promise<void> {
    try {
      await this.server.ask('DELETE', queuePath(this.place.schedulers));
    } catch (error) {
      if (!(error instanceof WeirError && error.code === 'queue.not_found')) {
        throw error;
      }
    }
    this.server.known.delete(this.place.schedulers);
    this.#paused = false;
  }

  async #put(id: string, scheduler: Scheduler): Promise<void> {
    const queue = this.place.schedulers;
    const name = nameOf(id);
    await withQueue(this.server, [queue], async () => {
      if (!this.#paused) {
        // Nobody is to work on records.
        await this.server.ask('POST', queuePath(queue, 'pause'), {}, { repeatable: true });
        this.#paused = true;
      }
      const record: NewJob = { name: 'scheduler', custom_id: name, data: scheduler };
      const { jobs } = await this.server.ask<{ jobs: AddedJob[] }>('POST', queuePath(queue, 'jobs'), record, { repeatable: true });
      if (jobs[0]?.duplicate) {
        await this.#replace(id, scheduler);
      }
    });
  }

  /** Changes a record. Says whether there was one. */
  async #replace(id: string, scheduler: Scheduler): Promise<boolean> {
    try {
      await this.server.ask('PATCH', jobPath(this.place.schedulers, nameOf(id)), { data: scheduler }, { repeatable: true });
      return true;
    } catch (error) {
      if (isMissing(error)) {
        return false;
      }
      throw error;
    }
  }

  async #isTaken(id: string, millis: number): Promise<boolean> {
    return (await this.#job(this.place.queue, iterationOf(id, millis))) !== undefined;
  }

  /** Removes an iteration that has not begun. Says whether there was one. */
  async #removeIteration(jobId: string, states: string[] = ['delayed', 'ready']): Promise<boolean> {
    const job = await this.#job(this.place.queue, jobId);
    return job !== undefined && states.includes(job.state) && this.#delete(this.place.queue, jobId);
  }

  async #delete(queue: string, id: string): Promise<boolean> {
    try {
      await this.server.ask('DELETE', jobPath(queue, id));
      return true;
    } catch (error) {
      if (error instanceof WeirError && (error.status === 404 || error.code === 'message.leased')) {
        return false;
      }
      throw error;
    }
  }

  async #job(queue: string, id: string): Promise<Job | undefined> {
    try {
      return await this.server.ask<Job>('GET', jobPath(queue, id));
    } catch (error) {
      if (error instanceof WeirError && error.status === 404) {
        return undefined;
      }
      throw error;
    }
  }
}

export function iterationOf(id: string, millis: number): string {
  return `repeat:${id}:${millis}`;
}

/** The time of an iteration of a scheduler, if the job is one. */
function millisOf(id: string, jobId: string | undefined): number | undefined {
  const prefix = `repeat:${id}:`;
  return jobId?.startsWith(prefix) ? Number(jobId.slice(prefix.length)) : undefined;
}

/** Ids of records are not digits only, whatever the schedulers' are. */
function nameOf(id: string): string {
  return `s:${id}`;
}

function idOfName(name: string): string {
  return name.slice(2);
}

/** The next time of a scheduler with a fixed interval, and its offset from the multiples of the interval. */
export function nextOf(
  before: number | undefined,
  every: number,
  now: number,
  offset: number,
  startDate: number | Date | string | undefined,
): [number, number] {
  let next: number;
  if (before === undefined) {
    if (startDate !== undefined) {
      next = Math.max(new Date(startDate).getTime(), now);
    } else if (offset > 0) {
      next = Math.floor(now / every) * every + offset;
      next = next <= now ? next + every : next;
    } else {
      next = now;
    }
  } else {
    next = before + every;
    if (next < now) {
      const slot = Math.floor(now / every) * every + offset;
      next = slot <= now ? slot + every : slot;
    }
  }
  const found = offset || next - Math.floor(next / every) * every;
  return [Math.floor(next), Math.floor(found)];
}

function fieldsOf(
  repeat: RepeatableOptions,
  offset: number | undefined,
  data: string,
  opts: JobsOptions,
  before: Scheduler | undefined,
): Record<string, string> {
  const { name, tz, limit, pattern, startDate, endDate, every } = repeat;
  const template = JSON.stringify(opts ?? {});
  const all = {
    name,
    tz,
    limit,
    pattern,
    startDate,
    endDate,
    every,
    offset: offset ?? before?.fields['offset'],
    opts: template === '{}' ? undefined : template,
    data: data === '{}' ? undefined : data,
    ic: before?.fields['ic'] ?? '1',
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given.map(([field, value]) => [field, String(value)]));
}

/** The options of repetition, which BullMQ adds to those of an iteration. */
function repeatOf(opts: JobsOptions): RepeatableOptions | undefined {
  return (opts as { repeat?: RepeatableOptions }).repeat;
}

function iteration(jobId: string, name: string, data: string, opts: JobsOptions): NewJob {
  return newJob({ name, data, opts, delay: opts.delay } as JobJson, jobId);
}
