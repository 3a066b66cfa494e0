// The backend itself: BullMQ's contract, method by method, on Weir's native API.

import { EventEmitter } from 'node:events';
import type {
  DependenciesOpts,
  IQueueBackend,
  JobJson,
  JobProgress,
  JobsOptions,
  JobState,
  JobType,
  KeepJobs,
  KeysMap,
  MinimalJob,
  MoveToDelayedOpts,
  MoveToWaitingChildrenOpts,
  ParentKeyOpts,
  QueueBaseOptions,
  RepeatableOptions,
  RetryJobOpts,
  RetryOptions,
  StreamReadRaw,
} from 'bullmq';
import { childrenOf, dependencies } from './children.js';
import type { Kin } from './children.js';
import { Code, NotSupportedError, WeirConnectionError, WeirError, bullError, isMissing } from './errors.js';
import { EventStream } from './events.js';
import { addFlow } from './flow.js';
import type { FlowEntry } from './flow.js';
import { Group } from './group.js';
import { failedReasonOf, failureOf, idOf, jobJson, keepOf, leasedJson, newJob } from './job-json.js';
import { countsOf, jobsOf, rangeOf, typeOf } from './listing.js';
import type { AddedJob, Job, LeasedJob, NewJob, Settled, Settlement, State } from './native.js';
import { PREFIX, Place, parseKey, qualifiedOf } from './place.js';
import { QueueConfig, isPaused, withQueue } from './queue.js';
import type { WorkerWishes } from './queue.js';
import { Schedulers } from './schedulers.js';
import { Server, jobPath, queuePath } from './server.js';
import type { WeirConnectionOptions } from './server.js';
import { encode } from './signature.js';
import { Work } from './work.js';

/** What BullMQ's classes are given besides their own options. */
export type WeirOptions = QueueBaseOptions<WeirConnectionOptions> & { prefix?: string };

/** Which connections a backend is for. */
export interface Purpose {
  /** It reads events. */
  blocking?: boolean;
  /** It is a worker's. */
  withBlockingConnection?: boolean;
}

/** What is asked of a worker's options. */
interface WorkerOptions {
  name?: string;
  lockDuration?: number;
  maxStalledCount?: number;
  limiter?: { max: number; duration: number };
  removeOnComplete?: KeepJobs;
  removeOnFail?: KeepJobs;
  lastEventId?: string;
}

/** A page of a job's log. */
interface Log {
  lines: string[];
  from: number;
  total: number;
}

type Next = [JobJson | null, string, number, number];

const KEYS = [
  '', 'active', 'wait', 'waiting-children', 'paused', 'id', 'delayed', 'prioritized', 'stalled-check', 'completed',
  'failed', 'stalled', 'repeat', 'limiter', 'meta', 'events', 'pc', 'marker', 'de',
];
/** Nothing to work on. When there is something again is the server's to say: it answers a waiting request then. */
const NOTHING: Next = [null, '', 0, 0];
const LOCK_DURATION_MS = 30_000;
/** Jobs that are removed or changed at the same time, where each is a request. */
const AT_ONCE = 32;
const BULK_MAX = 10_000;

export class WeirQueueBackend extends EventEmitter implements IQueueBackend {
  readonly minimumBlockTimeout = 0.001;
  readonly maximumBlockTimeout = 30;
  closing: Promise<void> | undefined;

  readonly #place: Place;
  readonly #config: QueueConfig;
  readonly #schedulers: Schedulers;
  readonly #work: Work;
  readonly #adding: Group<NewJob, AddedJob>;
  #events: EventStream | undefined;
  #ready: Promise<void> | undefined;
  /** A job that was leased for a worker that waits, and that it has not fetched yet. */
  #held: LeasedJob | undefined;
  #wait: AbortController | undefined;
  #blockingEnded = false;

  constructor(
    private readonly server: Server,
    name: string,
    private readonly options: WeirOptions,
    private readonly purpose: Purpose = {},
    private readonly ownsServer = true,
  ) {
    super();
    this.#place = new Place(options.prefix ?? PREFIX, name);
    this.#config = new QueueConfig(server, this.#place);
    this.#schedulers = new Schedulers(server, this.#place);
    this.#work = new Work(server, this.#queue, () => this.#worker.lockDuration ?? LOCK_DURATION_MS);
    this.#adding = new Group(jobs => this.#addGroup(jobs), { most: 1_000, onTheWayMost: 2 });
  }

  get #queue(): string {
    return this.#place.queue;
  }

  get #worker(): WorkerOptions {
    return this.options as unknown as WorkerOptions;
  }

  // The connection

  waitUntilReady(): Promise<void> {
    this.#ready ??= this.#prepare();
    return this.#ready;
  }

  async #prepare(): Promise<void> {
    let told = false;
    while (!this.closing && this.#place.name !== '') {
      try {
        await this.#config.ensure();
        if (this.purpose.withBlockingConnection) {
          await this.#config.serve(this.#wishes());
        }
        if (this.purpose.blocking) {
          await this.#stream().open(this.#worker.lastEventId);
        }
        break;
      } catch (error) {
        if (!(error instanceof WeirConnectionError)) {
          this.#ready = undefined;
          throw error;
        }
        if (!told && !this.closing) {
          told = true;
          this.emit('error', error);
        }
      }
    }
    this.emit('ready');
  }

  #wishes(): WorkerWishes {
    const { maxStalledCount, limiter, removeOnComplete, removeOnFail } = this.#worker;
    return {
      stallsMax: maxStalledCount ?? 1,
      limiter,
      keepCompleted: removeOnComplete === undefined ? undefined : keepOf(removeOnComplete),
      keepFailed: removeOnFail === undefined ? undefined : keepOf(removeOnFail),
    };
  }

  close(force = false): Promise<void> {
    if (!this.ownsServer) {
      return Promise.resolve();
    }
    this.closing ??= this.#end(force);
    return this.closing;
  }

  async #end(force: boolean): Promise<void> {
    this.#events?.close();
    await this.disconnectBlocking();
    await this.#releaseHeld();
    if (!force) {
      await Promise.all([this.#work.settled(), this.#adding.settled()]);
    }
    await this.server.leave(force);
    this.emit('close');
  }

  async disconnect(): Promise<void> {
    this.#events?.close();
    await this.disconnectBlocking();
  }

  /** Weir's connections have no names. */
  setName(_name: string): Promise<void> {
    return Promise.resolve();
  }

  forQueue(queueName: string, prefix?: string): WeirQueueBackend {
    return new WeirQueueBackend(this.server, queueName, { ...this.options, prefix: prefix ?? this.#place.prefix }, {}, false);
  }

  get qualifiedName(): string {
    return this.#place.qualified;
  }

  get keys(): KeysMap {
    return Object.fromEntries(KEYS.map(key => [key, this.#place.key(key)])) as unknown as KeysMap;
  }

  toKey(type: string): string {
    return this.#place.key(type);
  }

  parseNodeKey(key: string): { prefix: string; queueName: string; id: string } {
    return parseKey(key);
  }

  clientName(suffix = ''): string {
    return `${this.#place.prefix}:${Buffer.from(this.#place.name).toString('base64')}${suffix}`;
  }

  // Adding

  async addJob(job: JobJson, jobId: string, _parentKeyOpts?: ParentKeyOpts): Promise<string> {
    return this.#added(await this.#adding.push(this.#newJob(job, jobId)), jobId, job);
  }

  async addJobs(entries: { job: JobJson; jobId: string; parentKeyOpts?: ParentKeyOpts }[]): Promise<string[]> {
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
      const answer = await this.#config.found(() =>
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

  async addFlow(entries: FlowEntry[]): Promise<[Error | null, string | number][]> {
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

  // Working

  async moveToActive(token: string, _name?: string): Promise<Next> {
    const held = this.#held;
    if (held) {
      this.#held = undefined;
      return this.#taken(held, token);
    }
    if (this.#blockingEnded) {
      // The worker pauses or closes: its wait was ended so that it takes nothing more.
      return NOTHING;
    }
    await this.waitUntilReady();
    const { job } = await this.#work.do({ lease: true });
    return job ? this.#taken(job, token) : NOTHING;
  }

  /** A job that was leased under BullMQ's token. */
  async #taken(job: LeasedJob, token: string): Promise<Next> {
    const id = idOf(job);
    this.server.locks.set(this.#lockKey(id), { token, lease: job.lease });
    // Of a job that had been started before something may be left: its progress, and why it failed.
    const before = (job.starts ?? job.leases) > 1 ? await this.#job(id) : undefined;
    return [leasedJson(job, before), id, 0, 0];
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
    const { settled = {}, job } = await this.#work.do({ settle: { lease, jobId, ...settlement }, lease: fetchNext });
    // Another job that came with the answer is worked on whatever became of this one.
    if (this.server.locks.get(this.#lockKey(jobId))?.lease === lease) {
      this.server.locks.delete(this.#lockKey(jobId));
    }
    if (settled.code) {
      if (job) {
        await this.#release(job);
      }
      throw this.#refused(settled, jobId, command);
    }
    if (!fetchNext) {
      return { settled, next: undefined };
    }
    return { settled, next: job ? await this.#taken(job, token as string) : NOTHING };
  }

  #refused({ code, detail }: Settled, jobId: string, command: string): Error {
    if (code === 'lease.lost' || code === 'lease.expired' || code === 'message.not_leased') {
      return bullError(Code.JobLockNotExist, command, { jobId });
    }
    return new WeirError(409, code ?? 'unknown', detail ?? 'the lease was not settled');
  }

  async #release(job: LeasedJob): Promise<void> {
    const settle = [{ lease: job.lease, action: 'release' }];
    await this.server.ask('POST', queuePath(this.#queue, 'settle'), { settle }, { repeatable: true });
  }

  async #releaseHeld(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held) {
      await this.#release(held).catch((error: unknown) => this.emit('error', error));
    }
  }

  async moveToCompleted<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    returnValue: R,
    _removeOnComplete: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    const id = job.id ?? '';
    const command = 'moveToFinished';
    const settlement = { result: returnValue ?? null };
    const { next } = await this.#settle(id, token, command, settlement, fetchNext && !this.closing);
    return { result: next as unknown[], finishedOn: Date.now() };
  }

  async moveToFailed<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    failedReason: string,
    _removeOnFail: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
    fieldsToUpdate?: Record<string, unknown>,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    const error = failureOf(failedReason, fieldsToUpdate?.['stacktrace']);
    // BullMQ has decided that it is final. A job that came through another door says nothing of it: its queue decides.
    const settlement = { action: 'fail' as const, error, ...(this.#isForeign(job) ? {} : { retry: false }) };
    const { next } = await this.#settle(job.id ?? '', token, 'moveToFinished', settlement, fetchNext && !this.closing);
    return { result: next as unknown[], finishedOn: Date.now() };
  }

  #isForeign(job: MinimalJob): boolean {
    return (job as { name?: string }).name === '__default__' && (job.opts.attempts ?? 0) === 0;
  }

  async moveToDelayed(jobId: string, _timestamp: number, delay: number, token = '0', opts: MoveToDelayedOpts = {}): Promise<void | unknown[]> {
    const delay_ms = Math.max(0, Math.ceil(delay));
    const fields = opts.fieldsToUpdate ?? {};
    const error = failureOf(String(fields['failedReason'] ?? ''), fields['stacktrace']);
    const settlement = opts.skipAttempt ? { action: 'release' as const, delay_ms } : { action: 'fail' as const, error, delay_ms };
    const { next } = await this.#settle(jobId, token, 'moveToDelayed', settlement, opts.fetchNext === true && !this.closing);
    return next?.[0] ? next : [];
  }

  async moveToWaitingChildren(jobId: string, token: string, _opts: MoveToWaitingChildrenOpts = {}): Promise<boolean> {
    const command = 'moveToWaitingChildren';
    this.#lease(jobId, token, command);
    const job = await this.#job(jobId);
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
    return Math.max(0, await this.getRateLimitTtl());
  }

  async retryJob(jobId: string, _lifo: boolean, token?: string, opts: RetryJobOpts = {}): Promise<void> {
    const fields = opts.fieldsToUpdate ?? {};
    const error = failureOf(String(fields['failedReason'] ?? ''), fields['stacktrace']);
    await this.#settle(jobId, token, 'retryJob', { action: 'fail', error, delay_ms: 0 });
  }

  /** A lease that ends gives its job back by itself. */
  moveStalledJobsToWait(): Promise<string[]> {
    return Promise.resolve([]);
  }

  async extendLock(jobId: string, token: string, duration: number): Promise<number> {
    return (await this.extendLocks([jobId], [token], duration)).length === 0 ? 1 : 0;
  }

  async extendLocks(jobIds: string[], tokens: string[], duration: number): Promise<string[]> {
    const lost: string[] = [];
    const settle: (Settlement & { jobId: string })[] = [];
    jobIds.forEach((jobId, at) => {
      const lock = this.server.locks.get(this.#lockKey(jobId));
      if (lock && lock.token === tokens[at]) {
        settle.push({ jobId, lease: lock.lease, action: 'extend', lease_ms: duration });
      } else {
        lost.push(jobId);
      }
    });
    for (let from = 0; from < settle.length; from += 1_000) {
      const some = settle.slice(from, from + 1_000);
      const body = { settle: some.map(({ jobId: _, ...settlement }) => settlement) };
      const { settled } = await this.server.ask<{ settled: Settled[] }>('POST', queuePath(this.#queue, 'settle'), body, { repeatable: true });
      settled.forEach(({ code }, at) => {
        const entry = some[at];
        if (code && entry) {
          lost.push(entry.jobId);
        }
      });
    }
    return lost;
  }

  /**
   * Waits for a job and leases it: the worker, which is told to look, then has it without another request. The server
   * answers as soon as a job may run, also where its delay ends or a limiter lets it.
   */
  async waitForJob(blockTimeout: number): Promise<{ member: string; score: number } | null> {
    if (this.closing || this.#blockingEnded) {
      return null;
    }
    if (this.#held) {
      return { member: '', score: 0 };
    }
    await this.waitUntilReady();
    const wait = new AbortController();
    this.#wait = wait;
    try {
      const waitMs = Math.max(1, Math.ceil(blockTimeout * 1_000));
      const body = {
        max: 1,
        wait_ms: waitMs,
        lease_ms: this.#worker.lockDuration ?? LOCK_DURATION_MS,
      };
      const ask = () =>
        this.server.ask<{ jobs: LeasedJob[] }>('POST', queuePath(this.#queue, 'lease'), body, { signal: wait.signal, repeatable: true, waitMs });
      const { jobs } = await this.#config.found(ask);
      this.#held = jobs[0];
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

  disconnectBlocking(_wait?: boolean): Promise<void> {
    this.#blockingEnded = true;
    this.#wait?.abort();
    return Promise.resolve();
  }

  reconnectBlocking(): Promise<void> {
    this.#blockingEnded = false;
    return Promise.resolve();
  }

  // Changing jobs

  async retryFinishedJob<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    state: 'failed' | 'completed',
    opts: RetryOptions = {},
  ): Promise<void> {
    const command = 'reprocessJob';
    const jobId = job.id ?? '';
    await this.#inState(jobId, state, state, command);
    if (opts.resetAttemptsStarted) {
      throw new NotSupportedError('retry with resetAttemptsStarted');
    }
    await this.#change(jobId, state, command, () =>
      this.server.ask('POST', jobPath(this.#queue, jobId, 'retry'), { reset: opts.resetAttemptsMade === true }),
    );
  }

  async promote(jobId: string): Promise<void> {
    await this.#change(jobId, 'delayed', 'promote', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'promote')));
  }

  async changeDelay(jobId: string, delay: number): Promise<void> {
    await this.#inState(jobId, 'delayed', 'delayed', 'changeDelay');
    await this.#change(jobId, 'delayed', 'changeDelay', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { delay_ms: Math.max(0, Math.ceil(delay)) }),
    );
  }

  async changePriority(jobId: string, priority = 0, lifo = false): Promise<void> {
    await this.#change(jobId, 'waiting', 'changePriority', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { priority, lifo }),
    );
  }

  async updateData<T = unknown, R = unknown, N extends string = string>(job: MinimalJob<T, R, N>, data: T): Promise<void> {
    const jobId = job.id ?? '';
    await this.#change(jobId, 'waiting', 'updateData', () =>
      this.server.ask('PATCH', jobPath(this.#queue, jobId), { data: data ?? null }),
    );
  }

  async updateProgress(jobId: string, progress: JobProgress): Promise<void> {
    await this.#change(jobId, 'active', 'updateProgress', () =>
      this.server.ask('POST', jobPath(this.#queue, jobId, 'report'), { progress: progress ?? null }),
    );
  }

  async addLog(jobId: string, logRow: string, keepLogs?: number): Promise<number> {
    const report = { logs: [logRow], ...(keepLogs ? { logs_max: keepLogs } : {}) };
    await this.#change(jobId, 'active', 'addLog', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'report'), report));
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
  async #change(jobId: string, state: string, command: string, ask: () => Promise<unknown>): Promise<void> {
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
    const job = await this.#job(jobId);
    if (!job) {
      throw bullError(Code.JobNotExist, command, { jobId });
    }
    if (job.state !== state) {
      throw bullError(Code.JobNotInState, command, { jobId, state: name });
    }
  }

  async remove(jobId: string, removeChildren: boolean): Promise<number> {
    const job = await this.#job(jobId);
    if (!job) {
      return 1;
    }
    if (await this.#schedulers.owns(job)) {
      throw bullError(Code.JobBelongsToJobScheduler, 'removeJob', { jobId });
    }
    if (!removeChildren && (job.children?.unfinished ?? 0) > 0) {
      throw new NotSupportedError('removing a job without its children');
    }
    const done = await this.#removeIfFree(jobId);
    return done === 'leased' ? 0 : 1;
  }

  async #removeIfFree(jobId: string, queue = this.#queue): Promise<'removed' | 'leased' | 'missing'> {
    try {
      await this.server.ask('DELETE', jobPath(queue, jobId), undefined, { repeatable: true });
      return 'removed';
    } catch (error) {
      if (isMissing(error)) {
        return 'missing';
      }
      if (error instanceof WeirError && error.code === 'message.leased') {
        return 'leased';
      }
      throw error;
    }
  }

  async removeUnprocessedChildren(jobId: string): Promise<void> {
    const children = await childrenOf(this.server, this.#queue, jobId);
    const waiting = children.filter(({ standing }) => standing === 'unprocessed');
    await each(waiting, async ({ key }) => {
      const { prefix, queueName, id } = parseKey(key);
      await this.#removeIfFree(id, new Place(prefix, queueName).queue);
    });
  }

  removeChildDependency(_jobId: string, _parentKey: string): Promise<boolean> {
    return Promise.reject(new NotSupportedError('removeChildDependency'));
  }

  async removeDeduplicationKey(deduplicationId: string, jobId: string): Promise<number> {
    return this.#forgetDeduplication(deduplicationId, `?job=${encode(jobId)}`);
  }

  async deleteDeduplicationKey(deduplicationId: string): Promise<number> {
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

  async getDeduplicationJobId(deduplicationId: string): Promise<string | null> {
    try {
      return idOf(await this.server.ask<Job>('GET', queuePath(this.#queue, 'deduplication', encode(deduplicationId))));
    } catch (error) {
      if (isMissing(error)) {
        return null;
      }
      throw error;
    }
  }

  // Changing many

  async retryFinishedJobs(state: 'completed' | 'failed' = 'failed', count = 1_000, timestamp?: number): Promise<number> {
    if (timestamp !== undefined && timestamp < Date.now()) {
      // The server picks by when jobs were added; BullMQ asks for when they finished.
      const ids = await this.#finishedBefore(state, timestamp, count);
      await each(ids, async jobId => {
        await this.#change(jobId, state, 'retryJobs', () => this.server.ask('POST', jobPath(this.#queue, jobId, 'retry'), { reset: false }));
      });
      return ids.length >= count ? 1 : 0;
    }
    return this.#bulk('jobs/retry', { states: [state], max: count }, count);
  }

  promoteJobs(count = 1_000): Promise<number> {
    return this.#bulk('jobs/promote', { max: count }, count);
  }

  /** Whether there may be more to do: BullMQ's cursor. */
  async #bulk(what: string, body: Record<string, unknown>, count: number): Promise<number> {
    const answer = await this.#config.found(() =>
      this.server.ask<{ changed: number; cursor?: string }>('POST', queuePath(this.#queue, what), body),
    );
    return answer.cursor !== undefined || answer.changed >= count ? 1 : 0;
  }

  async #bulkAll(what: string, body: Record<string, unknown>): Promise<void> {
    let cursor: string | undefined;
    do {
      const request = cursor === undefined ? body : { ...body, cursor };
      const answer = await this.#config.found(() => this.server.ask<{ cursor?: string }>('POST', queuePath(this.#queue, what), request));
      cursor = answer.cursor;
    } while (cursor !== undefined);
  }

  async pause(pause: boolean): Promise<void> {
    const what = pause ? 'pause' : 'resume';
    await this.#config.found(() => this.server.ask('POST', queuePath(this.#queue, what), {}, { repeatable: true }));
  }

  async drain(delayed: boolean): Promise<void> {
    const states: State[] = delayed ? ['ready', 'delayed'] : ['ready'];
    const schedulers = await this.#schedulers.all();
    if (schedulers.length === 0) {
      await this.#bulkAll('drain', { states });
      return;
    }
    // The next iterations of schedulers stay.
    const kept = new Set(schedulers.map(({ id, next }) => `repeat:${id}:${next}`));
    for (const type of ['wait', 'prioritized', ...(delayed ? ['delayed'] : [])]) {
      const ids = (await this.#ids(type)).filter(id => !kept.has(id));
      await each(ids, id => this.#removeIfFree(id));
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
    await this.#config.ensure();
    const found: string[] = [];
    for await (const job of jobsOf(this.server, this.#queue, state)) {
      if ((job.finished_at_ms ?? Infinity) <= timestamp) {
        found.push(idOf(job));
      }
    }
    return found.reverse().slice(0, limit);
  }

  async cleanJobsByState(state: string, timestamp: number, limit = 0): Promise<string[]> {
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
      const kept = new Set((await this.#schedulers.all()).map(({ id, next }) => `repeat:${id}:${next}`));
      ids = [];
      for await (const job of jobsOf(this.server, this.#queue, state)) {
        if (job.added_at_ms <= timestamp && !kept.has(idOf(job)) && ids.length < most) {
          ids.push(idOf(job));
        }
      }
    }
    const removed = new Set<string>();
    await each(ids, async id => {
      if ((await this.#removeIfFree(id)) === 'removed') {
        removed.add(id);
      }
    });
    return ids.filter(id => removed.has(id));
  }

  async obliterate({ force }: { force: boolean; count: number }): Promise<number> {
    const queue = await this.#config.get();
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
    await this.#config.removeLimiter();
    await this.#schedulers.removeAll();
    return 0;
  }

  /** A job and where it stands are one thing in Weir: none is left behind. */
  removeOrphanedJobs(_count?: number, _limit?: number): Promise<number> {
    return Promise.resolve(0);
  }

  // Job schedulers

  addJobScheduler(
    jobSchedulerId: string,
    nextMillis: number,
    templateData: string,
    templateOpts: JobsOptions,
    opts: RepeatableOptions,
    delayedJobOpts: JobsOptions,
    _producerId?: string,
  ): Promise<[string, number]> {
    return this.#schedulers.upsert(jobSchedulerId, nextMillis, templateData, templateOpts, opts, delayedJobOpts, job => this.#adding.push(job));
  }

  updateJobSchedulerNextMillis(
    jobSchedulerId: string,
    nextMillis: number,
    _templateData: string,
    delayedJobOpts: JobsOptions,
    producerId?: string,
  ): Promise<string | null> {
    return this.#schedulers.advance(jobSchedulerId, nextMillis, delayedJobOpts, producerId, job => this.#adding.push(job));
  }

  async removeJobScheduler(jobSchedulerId: string): Promise<number> {
    return (await this.#schedulers.remove(jobSchedulerId)) ? 0 : 1;
  }

  async getJobScheduler(id: string): Promise<[unknown, string | null]> {
    const scheduler = await this.#schedulers.get(id);
    return scheduler ? [Object.entries(scheduler.fields).flat(), String(scheduler.next)] : [null, null];
  }

  async isJobScheduler(id: string): Promise<boolean> {
    return (await this.#schedulers.get(id)) !== undefined;
  }

  async getJobSchedulerData(key: string): Promise<Record<string, string>> {
    return (await this.#schedulers.get(key))?.fields ?? {};
  }

  async getJobSchedulersRange(start: number, end: number, asc: boolean): Promise<string[]> {
    const all = await this.#schedulers.all();
    const ordered = asc ? all : all.reverse();
    return ordered.slice(start, end < 0 ? ordered.length + end + 1 : end + 1).flatMap(({ id, next }) => [id, String(next)]);
  }

  async getJobSchedulersCount(): Promise<number> {
    return (await this.#schedulers.all()).length;
  }

  // Looking

  async #job(jobId: string, queue = this.#queue): Promise<Job | undefined> {
    try {
      return await this.server.ask<Job>('GET', jobPath(queue, jobId));
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
  }

  async getState(jobId: string): Promise<JobState | 'unknown'> {
    const job = await this.#job(jobId);
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
    const job = await this.#job(jobId);
    if (!job) {
      return returnValue ? [-1, `Missing key for job ${this.toKey(jobId)}. isFinished`] : -1;
    }
    const status = job.state === 'completed' ? 1 : job.state === 'failed' ? 2 : 0;
    if (!returnValue) {
      return status;
    }
    const told = ['', JSON.stringify(job.result ?? null), status === 2 ? await this.#failedReason(job) : ''];
    return [status, told[status] ?? ''];
  }

  async isMaxed(): Promise<boolean> {
    const limiter = await this.#config.limiter();
    const concurrency = limiter?.limiter.terms.concurrency;
    return concurrency !== undefined && (limiter?.state.running ?? 0) >= concurrency;
  }

  async isJobInState(state: string, jobId: string): Promise<boolean> {
    if (state === 'paused') {
      return false;
    }
    const found = await this.getState(jobId);
    return typeOf(found) === typeOf(state);
  }

  async getJobData(jobId: string): Promise<JobJson | undefined> {
    const job = await this.#job(jobId);
    if (!job) {
      return undefined;
    }
    const json = jobJson(job);
    return job.failed === 'child_failed' ? { ...json, failedReason: await this.#failedReason(job) } : json;
  }

  /** Why a job failed: of one that failed with its child BullMQ names the child. */
  async #failedReason(job: Job): Promise<string> {
    if (job.failed === 'child_failed') {
      const children = await childrenOf(this.server, this.#queue, idOf(job));
      const failed = children.find(({ standing }) => standing === 'failed');
      if (failed) {
        return `child ${failed.key} failed`;
      }
    }
    return failedReasonOf(job) ?? '';
  }

  async getJobLogs(jobId: string, start: number, end: number, asc: boolean): Promise<{ logs: string[]; count: number }> {
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

  async getRateLimitTtl(_maxJobs?: number): Promise<number> {
    const queue = await this.#config.get();
    const now = Date.now();
    if (queue.paused_until_ms !== undefined) {
      return Math.max(0, queue.paused_until_ms - now);
    }
    const limiter = await this.#config.limiter();
    const blocked = limiter?.state.blocked;
    if (blocked?.until_ms !== undefined) {
      return Math.max(0, blocked.until_ms - now);
    }
    return limiter && limiter.limiter.terms.windows.length > 0 ? 0 : -2;
  }

  async getCounts(types: JobType[], delayedTimestamp?: number): Promise<number[]> {
    const queue = await this.#config.get();
    const counts = await countsOf(this.server, queue, types);
    if (delayedTimestamp === undefined || !types.includes('delayed')) {
      return counts;
    }
    let delayed = 0;
    for await (const job of jobsOf(this.server, this.#queue, 'delayed')) {
      if ((job.due_at_ms ?? 0) >= delayedTimestamp) {
        break;
      }
      delayed += 1;
    }
    return types.map((type, at) => (type === 'delayed' ? delayed : (counts[at] ?? 0)));
  }

  async getCountsPerPriority(priorities: number[]): Promise<number[]> {
    const counts = new Map<number, number>();
    await this.#config.ensure();
    for (const type of ['wait', 'prioritized']) {
      for await (const { priority } of jobsOf(this.server, this.#queue, type)) {
        counts.set(priority, (counts.get(priority) ?? 0) + 1);
      }
    }
    return priorities.map(priority => counts.get(priority) ?? 0);
  }

  async getRanges(types: JobType[], start = 0, end = 1, asc = false): Promise<[string][]> {
    await this.#config.ensure();
    const ranges = await Promise.all(types.map(type => rangeOf(this.server, this.#queue, type, start, end, asc)));
    return ranges as unknown as [string][];
  }

  async getDependencyCounts(jobId: string, types: string[]): Promise<number[]> {
    const children = await childrenOf(this.server, this.#queue, jobId);
    return types.map(type => children.filter(({ standing }) => standing === type).length);
  }

  async getDependencies(jobId: string, opts: DependenciesOpts) {
    return dependencies(await childrenOf(this.server, this.#queue, jobId), opts);
  }

  async getProcessedChildrenValues(jobId: string): Promise<Record<string, string>> {
    const processed = await this.#children(jobId, 'processed');
    return Object.fromEntries(processed.map(({ key, value }) => [key, JSON.stringify(value ?? null)]));
  }

  async getIgnoredChildrenFailures(jobId: string): Promise<Record<string, string>> {
    const ignored = await this.#children(jobId, 'ignored');
    return Object.fromEntries(ignored.map(({ key, value }) => [key, String(value)]));
  }

  async #children(jobId: string, standing: Kin['standing']): Promise<Kin[]> {
    return (await childrenOf(this.server, this.#queue, jobId)).filter(child => child.standing === standing);
  }

  getMetrics(_type: 'completed' | 'failed', _start?: number, _end?: number): Promise<[string[], string[], number]> {
    return Promise.reject(new NotSupportedError('getMetrics'));
  }

  /** Weir keeps no list of connected programs. */
  getClientList(): Promise<string[]> {
    return Promise.resolve([]);
  }

  async paginate(key: string, opts: { start: number; end: number; fetchJobs?: boolean }) {
    const { id } = parseKey(key);
    const match = /^(.*):(processed|dependencies)$/s.exec(id);
    if (!match) {
      throw new NotSupportedError(`paginate of ${key}`);
    }
    const processed = match[2] === 'processed';
    const all = await this.#children(match[1] as string, processed ? 'processed' : 'unprocessed');
    const page = all.slice(opts.start, opts.end < 0 ? all.length + opts.end + 1 : opts.end + 1);
    return {
      cursor: '0',
      items: page.map(({ key, value }) => (processed ? { id: key, v: value ?? null } : { id: key })),
      total: all.length,
      ...(opts.fetchJobs ? { jobs: page.flatMap(({ json }) => (json ? [json] : [])) } : {}),
    };
  }

  // Metadata

  async setQueueMeta(values: Record<string, string | number>): Promise<number> {
    const there = await this.#config.setMeta(values);
    return Object.keys(values).length - there;
  }

  async getQueueMetaField(field: string): Promise<string | null> {
    return (await this.#config.meta())[field] ?? null;
  }

  async getQueueMetaFields(fields: string[]): Promise<(string | null)[]> {
    const meta = await this.#config.meta();
    return fields.map(field => meta[field] ?? null);
  }

  getQueueMeta(): Promise<Record<string, string>> {
    return this.#config.meta();
  }

  removeQueueMetaFields(fields: string[]): Promise<number> {
    return this.#config.setMeta(Object.fromEntries(fields.map(field => [field, undefined])));
  }

  async hasQueueMetaField(field: string): Promise<boolean> {
    return field in (await this.#config.meta());
  }

  /** Nothing of the queue is given out for a while: a pause that ends by itself. */
  async setRateLimit(expireTimeMs: number): Promise<void> {
    const queue = await this.#config.get();
    if (!isPaused(queue)) {
      const for_ms = Math.max(1, Math.ceil(expireTimeMs));
      await this.#config.found(() => this.server.ask('POST', queuePath(this.#queue, 'pause'), { for_ms }, { repeatable: true }));
    }
  }

  async removeRateLimitKey(): Promise<number> {
    const queue = await this.#config.get();
    if (!queue.paused || isPaused(queue)) {
      return 0;
    }
    await this.pause(false);
    return 1;
  }

  /** Weir never had it. */
  removeDeprecatedPriorityKey(): Promise<number> {
    return Promise.resolve(0);
  }

  // Events

  #stream(): EventStream {
    this.#events ??= new EventStream(this.server, this.#queue, ask => withQueue(this.server, [this.#queue], ask));
    return this.#events;
  }

  /** The server keeps a fixed number of events by itself. */
  trimEvents(_maxLength: number): Promise<number> {
    return Promise.resolve(0);
  }

  publishEvent(_fields: Record<string, string | number>, _maxEvents: number): Promise<string> {
    return Promise.reject(new NotSupportedError('publishEvent'));
  }

  async readEvents(id: string, blockTimeout: number): Promise<StreamReadRaw> {
    if (this.closing) {
      return null;
    }
    await this.waitUntilReady();
    const entries = await this.#stream().read(id, blockTimeout);
    return entries.length > 0 ? [[this.toKey('events'), entries]] : null;
  }
}

/** Does something with each, a few at a time. */
async function each<T>(all: T[], act: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) {
    await Promise.all(all.slice(from, from + AT_ONCE).map(act));
  }
}

