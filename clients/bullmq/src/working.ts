// What a worker does with its queue: it takes jobs, keeps them, and settles them.

import { once } from 'node:events';
import type { JobJson, MinimalJob, MoveToDelayedOpts, RetryJobOpts } from 'bullmq';
import { Code, WeirConnectionError, WeirError, bullError } from './errors.js';
import { failureOf, idOf, leasedJson } from './job-json.js';
import type { Jobs } from './jobs.js';
import type { Job, LeasedJob, Settled, Settlement } from './native.js';
import type { Place } from './place.js';
import type { QueueConfig } from './queue.js';
import { queuePath } from './server.js';
import type { Server } from './server.js';
import { Work } from './work.js';
import type { Taken } from './work.js';

/** A job with its id, as BullMQ has it; the numbers are those of a rate limit and of a delay, which the server knows. */
export type Next = [JobJson | null, string, number, number];

/** Whose worker it is. */
interface Host {
  readonly closing: Promise<void> | undefined;
  waitUntilReady(): Promise<void>;
  emit(event: 'error', error: unknown): boolean;
}

/** A job that a worker may begin, with what is known of it from before. */
interface Ready extends Taken {
  before: Job | undefined;
}

/** Nothing to work on. When there is something again is the server's to say: it answers a waiting request then. */
const NOTHING: Next = [null, '', 0, 0];
const LOCK_DURATION_MS = 30_000;
/** What a worker that has jobs waits for another one at least. */
const PATIENCE_MS_MIN = 250;
/** Stalled jobs that wait to be told of at most: a worker may have been told not to look for any. */
const STALLED_MAX = 1_000;

export class Working {
  readonly #work: Work;
  /** A job that was leased for a worker that waits, and that it has not fetched yet. */
  #held: Taken | undefined;
  /** What was asked for, and took longer than the worker waited. */
  readonly #late: Promise<Ready | undefined>[] = [];
  /** Jobs that the worker has: some may not have begun. */
  readonly #given = new Set<string>();
  #wait: AbortController | undefined;
  /** Jobs that were lost by the worker that had them before this one. */
  #stalled: string[] = [];
  #blockingEnded = false;

  constructor(
    private readonly server: Server,
    private readonly place: Place,
    private readonly config: QueueConfig,
    private readonly jobs: Jobs,
    private readonly host: Host,
    private readonly worker: { lockDuration?: number },
  ) {
    this.#work = new Work(server, place.queue, () => this.#leaseMs);
  }

  get #queue(): string {
    return this.place.queue;
  }

  /** Resolves once nothing is on its way, and what came too late to be worked on is given back. */
  async settled(): Promise<void> {
    await this.#work.settled();
    const late = await Promise.allSettled(this.#late.splice(0));
    const came = late.flatMap(each => (each.status === 'fulfilled' && each.value ? [each.value] : []));
    await Promise.all(came.map(taken => this.#giveBack(taken)));
  }

  /**
   * BullMQ asks for one job after the other, up to the worker's concurrency, before it begins any of them, and extends
   * the locks of those that it has begun. So that a request that takes long, or fails, lets no lock of the others end, a
   * worker that has jobs hears soon that there is nothing yet.
   */
  async moveToActive(token: string): Promise<Next> {
    const asked = this.#asked();
    if (!asked) {
      return NOTHING;
    }
    try {
      const came = await isDoneWithin(asked, Math.max(PATIENCE_MS_MIN, this.#leaseMs / 100));
      if (!came && this.#given.size > 0) {
        this.#late.push(asked);
        return NOTHING;
      }
      const ready = await asked;
      return ready ? this.#give(ready, token) : NOTHING;
    } catch (error) {
      if (!(error instanceof WeirConnectionError) || this.#given.size === 0) {
        throw error;
      }
      this.host.emit('error', error);
      return NOTHING;
    }
  }

  /** What comes to a worker that asks for a job: one that is there, one that is on its way, or one that is fetched now. */
  #asked(): Promise<Ready | undefined> | undefined {
    const held = this.#held;
    if (held) {
      this.#held = undefined;
      return this.#ready(held);
    }
    const late = this.#late.shift();
    if (late) {
      return late.then(ready => ready && this.#still(ready));
    }
    // A worker that pauses or closes had its wait ended so that it takes nothing more.
    return this.#blockingEnded ? undefined : this.#fetch();
  }

  async #fetch(): Promise<Ready | undefined> {
    await this.host.waitUntilReady();
    const { taken } = await this.config.found(() => this.#work.do({ lease: true }));
    return taken && this.#ready(taken);
  }

  async #ready({ job, since }: Taken): Promise<Ready | undefined> {
    const id = idOf(job);
    // Of a job that had been started before something may be left: its progress, and why it failed.
    const starts = job.starts ?? job.leases;
    const before = starts > 1 ? await this.jobs.get(id) : undefined;
    const last = before?.history.at(-1);
    if (last?.kind === 'stalled' && last.lease === starts - 1 && this.#stalled.length < STALLED_MAX) {
      this.#stalled.push(id);
    }
    return this.#still({ job, since, before });
  }

  /**
   * BullMQ extends a lock after a part of its time. If that has passed while requests were repeated, the lease may have
   * ended, and the job be another worker's.
   */
  async #still(ready: Ready): Promise<Ready | undefined> {
    if (performance.now() - ready.since <= this.#leaseMs / 4) {
      return ready;
    }
    const since = performance.now();
    const [extended] = await this.#extend([ready.job.lease], this.#leaseMs);
    return extended?.code ? undefined : { ...ready, since };
  }

  /** Gives the worker a job under BullMQ's token. */
  #give({ job, before }: Ready, token: string): Next {
    const id = idOf(job);
    this.server.locks.set(this.#lockKey(id), { token, lease: job.lease });
    this.#given.add(id);
    return [leasedJson(job, before), id, 0, 0];
  }

  get #leaseMs(): number {
    return this.worker.lockDuration ?? LOCK_DURATION_MS;
  }

  #lockKey(jobId: string): string {
    return `${this.#queue}\n${jobId}`;
  }

  #lease(jobId: string, token: string | undefined, command: string): string {
    const lock = this.server.locks.get(this.#lockKey(jobId));
    if (!lock) {
      throw bullError(Code.JobLockNotExist, command, { jobId });
    }
    if (lock.token !== token) {
      throw bullError(Code.JobLockMismatch, command, { jobId, state: 'active' });
    }
    return lock.lease;
  }

  /** Settles the lease of a job, and leases the next one with the same request where that is wanted. */
  async #settle(
    jobId: string,
    token: string | undefined,
    command: string,
    settlement: Omit<Settlement, 'lease'>,
    fetchNext = false,
  ): Promise<{ settled: Settled; next: Next | undefined }> {
    const lease = this.#lease(jobId, token, command);
    const { settled = {}, taken } = await this.#work.do({ settle: { lease, jobId, ...settlement }, lease: fetchNext });
    // Another job that came with the answer is worked on whatever became of this one.
    if (this.server.locks.get(this.#lockKey(jobId))?.lease === lease) {
      this.server.locks.delete(this.#lockKey(jobId));
      this.#given.delete(jobId);
    }
    if (settled.code) {
      if (taken) {
        await this.#release(taken);
      }
      // The job may be gone with its queue.
      await this.config.serveAnew();
      throw this.#refused(settled, jobId, command);
    }
    if (!fetchNext) {
      return { settled, next: undefined };
    }
    // This job is settled, whatever becomes of the next one.
    const ready = taken && (await this.#ready(taken).catch((error: unknown) => void this.host.emit('error', error)));
    return { settled, next: ready ? this.#give(ready, token as string) : NOTHING };
  }

  #refused({ code, detail }: Settled, jobId: string, command: string): Error {
    if (code === 'lease.lost' || code === 'lease.expired' || code === 'message.not_leased') {
      return bullError(Code.JobLockNotExist, command, { jobId });
    }
    return new WeirError(409, code ?? 'unknown', detail ?? 'the lease was not settled');
  }

  async #release({ job }: Taken): Promise<void> {
    const settle = [{ lease: job.lease, action: 'release' }];
    await this.server.ask('POST', queuePath(this.#queue, 'settle'), { settle }, { repeatable: true });
  }

  async releaseHeld(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held) {
      await this.#giveBack(held);
    }
  }

  async #giveBack(taken: Taken): Promise<void> {
    await this.#release(taken).catch((error: unknown) => this.host.emit('error', error));
  }

  /** Jobs that stalled, and that came to this worker since it was last asked. */
  stalled(): string[] {
    return this.#stalled.splice(0);
  }

  async moveToCompleted<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    returnValue: R,
    token: string,
    fetchNext: boolean,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    const id = job.id ?? '';
    const command = 'moveToFinished';
    const settlement = { result: returnValue ?? null };
    const { next } = await this.#settle(id, token, command, settlement, fetchNext && !this.host.closing);
    return { result: next as unknown[], finishedOn: Date.now() };
  }

  async moveToFailed<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    failedReason: string,
    token: string,
    fetchNext: boolean,
    fieldsToUpdate?: Record<string, unknown>,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    const error = failureOf(failedReason, fieldsToUpdate?.['stacktrace']);
    // BullMQ has decided that it is final. A job that came through another door says nothing of it: its queue decides.
    const settlement = { action: 'fail' as const, error, ...(this.#isForeign(job) ? {} : { retry: false }) };
    const { next } = await this.#settle(job.id ?? '', token, 'moveToFinished', settlement, fetchNext && !this.host.closing);
    return { result: next as unknown[], finishedOn: Date.now() };
  }

  #isForeign(job: MinimalJob): boolean {
    return (job as { name?: string }).name === '__default__' && (job.opts.attempts ?? 0) === 0;
  }

  async moveToDelayed(jobId: string, delay: number, token = '0', opts: MoveToDelayedOpts = {}): Promise<void | unknown[]> {
    const delay_ms = Math.max(0, Math.ceil(delay));
    const fields = opts.fieldsToUpdate ?? {};
    const error = failureOf(String(fields['failedReason'] ?? ''), fields['stacktrace']);
    const settlement = opts.skipAttempt ? { action: 'release' as const, delay_ms } : { action: 'fail' as const, error, delay_ms };
    const { next } = await this.#settle(jobId, token, 'moveToDelayed', settlement, opts.fetchNext === true && !this.host.closing);
    return next?.[0] ? next : [];
  }

  async moveToWaitingChildren(jobId: string, token: string): Promise<boolean> {
    const command = 'moveToWaitingChildren';
    this.#lease(jobId, token, command);
    const job = await this.jobs.get(jobId);
    if (!job) {
      throw bullError(Code.JobNotExist, command, { jobId });
    }
    if ((job.children?.unfinished ?? 0) === 0) {
      return false;
    }
    await this.#settle(jobId, token, command, { action: 'wait_for_children' });
    return true;
  }

  async moveJobFromActiveToWait(jobId: string, token?: string): Promise<number> {
    await this.#settle(jobId, token, 'moveJobFromActiveToWait', { action: 'release' });
    return Math.max(0, await this.config.rateLimitTtl());
  }

  async retryJob(jobId: string, token?: string, opts: RetryJobOpts = {}): Promise<void> {
    const fields = opts.fieldsToUpdate ?? {};
    const error = failureOf(String(fields['failedReason'] ?? ''), fields['stacktrace']);
    await this.#settle(jobId, token, 'retryJob', { action: 'fail', error, delay_ms: 0 });
  }

  async extendLock(jobId: string, token: string, duration: number): Promise<number> {
    return (await this.extendLocks([jobId], [token], duration)).length === 0 ? 1 : 0;
  }

  async extendLocks(jobIds: string[], tokens: string[], duration: number): Promise<string[]> {
    const lost: string[] = [];
    const held: { jobId: string; lease: string }[] = [];
    jobIds.forEach((jobId, at) => {
      const lock = this.server.locks.get(this.#lockKey(jobId));
      if (lock && lock.token === tokens[at]) {
        held.push({ jobId, lease: lock.lease });
      } else {
        lost.push(jobId);
      }
    });
    for (let from = 0; from < held.length; from += 1_000) {
      const some = held.slice(from, from + 1_000);
      const settled = await this.#extend(some.map(({ lease }) => lease), duration);
      settled.forEach(({ code }, at) => {
        const entry = some[at];
        if (code && entry) {
          lost.push(entry.jobId);
        }
      });
    }
    return lost;
  }

  async #extend(leases: string[], lease_ms: number): Promise<Settled[]> {
    const settle = leases.map(lease => ({ lease, action: 'extend', lease_ms }));
    const { settled } = await this.server.ask<{ settled: Settled[] }>('POST', queuePath(this.#queue, 'settle'), { settle }, { repeatable: true });
    return settled;
  }

  /**
   * Waits for a job and leases it: the worker, which is told to look, then has it without another request. The server
   * answers as soon as a job may run, also where its delay ends or a limiter lets it.
   */
  async waitForJob(blockTimeout: number): Promise<{ member: string; score: number } | null> {
    if (this.host.closing || this.#blockingEnded) {
      return null;
    }
    if (this.#held) {
      return { member: '', score: 0 };
    }
    await this.host.waitUntilReady();
    const waitMs = Math.max(1, Math.ceil(blockTimeout * 1_000));
    const wait = new AbortController();
    this.#wait = wait;
    try {
      const [late] = this.#late;
      if (late) {
        // What it brings, or its error, is told when the worker asks for a job.
        await Promise.race([once(wait.signal, 'abort'), isDoneWithin(late, waitMs).catch(() => {})]);
        return wait.signal.aborted ? null : { member: '', score: 0 };
      }
      const body = {
        max: 1,
        wait_ms: waitMs,
        lease_ms: this.#leaseMs,
      };
      const ask = () =>
        this.server.ask<{ jobs: LeasedJob[] }>('POST', queuePath(this.#queue, 'lease'), body, { signal: wait.signal, repeatable: true, waitMs });
      const { jobs } = await this.config.found(ask);
      this.#held = jobs[0] && { job: jobs[0], since: performance.now() };
      return this.#held ? { member: '', score: 0 } : null;
    } catch (error) {
      if (wait.signal.aborted) {
        return null;
      }
      throw error;
    } finally {
      if (this.#wait === wait) {
        this.#wait = undefined;
      }
    }
  }

  /** A worker that waits is to wait no longer, and takes nothing more. */
  stopWaiting(): void {
    this.#blockingEnded = true;
    this.#wait?.abort();
  }

  mayWait(): void {
    this.#blockingEnded = false;
  }
}

/** Whether a promise is settled within a time; rejects as it does. */
function isDoneWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, false);
    const done = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(done, (error: unknown) => {
      clearTimeout(timer);
      reject(error as Error);
    });
  });
}
