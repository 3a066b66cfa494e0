// The backend itself: BullMQ's contract, method by method. What is done is in the files that it names.

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
import { Adding } from './adding.js';
import { Changing } from './changing.js';
import { childValues, childrenOf, dependencies, pageOf } from './children.js';
import { WeirConnectionError } from './errors.js';
import { EventStream } from './events.js';
import type { FlowEntry } from './flow.js';
import { keepOf } from './job-json.js';
import { Jobs } from './jobs.js';
import { countsByPriority, countsOf, delayedBefore, rangeOf, typeOf } from './listing.js';
import { Many } from './many.js';
import { metricsOf } from './metrics.js';
import { PREFIX, Place, parseKey } from './place.js';
import { QueueConfig, withQueue } from './queue.js';
import type { WorkerWishes } from './queue.js';
import { Schedulers } from './schedulers.js';
import type { Server, WeirConnectionOptions } from './server.js';
import { Working } from './working.js';
import type { Next } from './working.js';

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

const KEYS = [
  '', 'active', 'wait', 'waiting-children', 'paused', 'id', 'delayed', 'prioritized', 'stalled-check', 'completed',
  'failed', 'stalled', 'repeat', 'limiter', 'meta', 'events', 'pc', 'marker', 'de',
];

export class WeirQueueBackend extends EventEmitter implements IQueueBackend {
  readonly minimumBlockTimeout = 0.001;
  readonly maximumBlockTimeout = 30;
  closing: Promise<void> | undefined;

  readonly #place: Place;
  readonly #config: QueueConfig;
  readonly #adding: Adding;
  readonly #jobs: Jobs;
  readonly #schedulers: Schedulers;
  readonly #changing: Changing;
  readonly #many: Many;
  readonly #working: Working;
  #events: EventStream | undefined;
  #ready: Promise<void> | undefined;

  constructor(
    private readonly server: Server,
    name: string,
    private readonly options: WeirOptions,
    private readonly purpose: Purpose = {},
    private readonly ownsServer = true,
  ) {
    super();
    const place = new Place(options.prefix ?? PREFIX, name);
    this.#place = place;
    this.#config = new QueueConfig(server, place);
    this.#adding = new Adding(server, place, this.#config);
    this.#jobs = new Jobs(server, place);
    this.#schedulers = new Schedulers(server, place);
    this.#changing = new Changing(server, place, this.#jobs, this.#schedulers);
    this.#many = new Many(server, place, this.#config, this.#jobs, this.#changing, this.#schedulers);
    this.#working = new Working(server, place, this.#config, this.#jobs, this, this.#worker);
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
    this.#working.stopWaiting();
    await this.#working.releaseHeld();
    if (!force) {
      await Promise.all([this.#working.settled(), this.#adding.settled()]);
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

  addJob(job: JobJson, jobId: string, _parentKeyOpts?: ParentKeyOpts): Promise<string> {
    return this.#adding.one(job, jobId);
  }

  addJobs(entries: { job: JobJson; jobId: string; parentKeyOpts?: ParentKeyOpts }[]): Promise<string[]> {
    return this.#adding.many(entries);
  }

  addFlow(entries: FlowEntry[]): Promise<[Error | null, string | number][]> {
    return this.#adding.flow(entries);
  }

  // Working

  moveToActive(token: string, _name?: string): Promise<Next> {
    return this.#working.moveToActive(token);
  }

  moveToCompleted<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    returnValue: R,
    _removeOnComplete: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    return this.#working.moveToCompleted(job, returnValue, token, fetchNext);
  }

  moveToFailed<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    failedReason: string,
    _removeOnFail: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
    fieldsToUpdate?: Record<string, unknown>,
  ): Promise<{ result: void | unknown[]; finishedOn: number }> {
    return this.#working.moveToFailed(job, failedReason, token, fetchNext, fieldsToUpdate);
  }

  moveToDelayed(jobId: string, _timestamp: number, delay: number, token?: string, opts?: MoveToDelayedOpts): Promise<void | unknown[]> {
    return this.#working.moveToDelayed(jobId, delay, token, opts);
  }

  moveToWaitingChildren(jobId: string, token: string, _opts?: MoveToWaitingChildrenOpts): Promise<boolean> {
    return this.#working.moveToWaitingChildren(jobId, token);
  }

  moveJobFromActiveToWait(jobId: string, token?: string): Promise<number> {
    return this.#working.moveJobFromActiveToWait(jobId, token);
  }

  retryJob(jobId: string, _lifo: boolean, token?: string, opts?: RetryJobOpts): Promise<void> {
    return this.#working.retryJob(jobId, token, opts);
  }

  /**
   * A lease that ends gives its job back by itself. What is left, as often as BullMQ looks for stalled jobs, is to tell
   * of those that came back and that this worker has got, and to see whether the queue still is the one that was told
   * what its worker asks for.
   */
  async moveStalledJobsToWait(): Promise<string[]> {
    await this.#config.serveAnew();
    return this.#working.stalled();
  }

  extendLock(jobId: string, token: string, duration: number): Promise<number> {
    return this.#working.extendLock(jobId, token, duration);
  }

  extendLocks(jobIds: string[], tokens: string[], duration: number): Promise<string[]> {
    return this.#working.extendLocks(jobIds, tokens, duration);
  }

  waitForJob(blockTimeout: number): Promise<{ member: string; score: number } | null> {
    return this.#working.waitForJob(blockTimeout);
  }

  disconnectBlocking(_wait?: boolean): Promise<void> {
    this.#working.stopWaiting();
    return Promise.resolve();
  }

  reconnectBlocking(): Promise<void> {
    this.#working.mayWait();
    return Promise.resolve();
  }

  // Changing jobs

  retryFinishedJob<T = unknown, R = unknown, N extends string = string>(
    job: MinimalJob<T, R, N>,
    state: 'failed' | 'completed',
    opts?: RetryOptions,
  ): Promise<void> {
    return this.#changing.retry(job, state, opts);
  }

  promote(jobId: string): Promise<void> {
    return this.#changing.promote(jobId);
  }

  changeDelay(jobId: string, delay: number): Promise<void> {
    return this.#changing.changeDelay(jobId, delay);
  }

  changePriority(jobId: string, priority?: number, lifo?: boolean): Promise<void> {
    return this.#changing.changePriority(jobId, priority, lifo);
  }

  updateData<T = unknown, R = unknown, N extends string = string>(job: MinimalJob<T, R, N>, data: T): Promise<void> {
    return this.#changing.updateData(job, data);
  }

  updateProgress(jobId: string, progress: JobProgress): Promise<void> {
    return this.#changing.updateProgress(jobId, progress);
  }

  addLog(jobId: string, logRow: string, keepLogs?: number): Promise<number> {
    return this.#changing.addLog(jobId, logRow, keepLogs);
  }

  clearLogs(jobId: string, keepLogs?: number): Promise<void> {
    return this.#changing.clearLogs(jobId, keepLogs);
  }

  remove(jobId: string, removeChildren: boolean): Promise<number> {
    return this.#changing.remove(jobId, removeChildren);
  }

  removeUnprocessedChildren(jobId: string): Promise<void> {
    return this.#changing.removeUnprocessedChildren(jobId);
  }

  removeChildDependency(jobId: string, parentKey: string): Promise<boolean> {
    return this.#changing.removeChildDependency(jobId, parentKey);
  }

  removeDeduplicationKey(deduplicationId: string, jobId: string): Promise<number> {
    return this.#changing.freeDeduplication(deduplicationId, jobId);
  }

  deleteDeduplicationKey(deduplicationId: string): Promise<number> {
    return this.#changing.forgetDeduplication(deduplicationId);
  }

  getDeduplicationJobId(deduplicationId: string): Promise<string | null> {
    return this.#changing.deduplicationJobId(deduplicationId);
  }

  // Changing many

  retryFinishedJobs(state?: 'completed' | 'failed', count?: number, timestamp?: number): Promise<number> {
    return this.#many.retry(state, count, timestamp);
  }

  promoteJobs(count?: number): Promise<number> {
    return this.#many.promote(count);
  }

  pause(pause: boolean): Promise<void> {
    return this.#config.pause(pause);
  }

  drain(delayed: boolean): Promise<void> {
    return this.#many.drain(delayed);
  }

  cleanJobsByState(state: string, timestamp: number, limit?: number): Promise<string[]> {
    return this.#many.clean(state, timestamp, limit);
  }

  obliterate({ force }: { force: boolean; count: number }): Promise<number> {
    return this.#many.obliterate(force);
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

  getState(jobId: string): Promise<JobState | 'unknown'> {
    return this.#jobs.state(jobId);
  }

  isFinished(jobId: string, returnValue?: boolean): Promise<number | [number, string]> {
    return this.#jobs.isFinished(jobId, returnValue);
  }

  isMaxed(): Promise<boolean> {
    return this.#config.isMaxed();
  }

  async isJobInState(state: string, jobId: string): Promise<boolean> {
    return state !== 'paused' && typeOf(await this.#jobs.state(jobId)) === typeOf(state);
  }

  getJobData(jobId: string): Promise<JobJson | undefined> {
    return this.#jobs.json(jobId);
  }

  getJobLogs(jobId: string, start: number, end: number, asc: boolean): Promise<{ logs: string[]; count: number }> {
    return this.#jobs.logs(jobId, start, end, asc);
  }

  getRateLimitTtl(_maxJobs?: number): Promise<number> {
    return this.#config.rateLimitTtl();
  }

  async getCounts(types: JobType[], delayedTimestamp?: number): Promise<number[]> {
    const counts = await countsOf(this.server, await this.#config.get(), types);
    if (delayedTimestamp === undefined || !types.includes('delayed')) {
      return counts;
    }
    const delayed = await delayedBefore(this.server, this.#queue, delayedTimestamp);
    return types.map((type, at) => (type === 'delayed' ? delayed : (counts[at] ?? 0)));
  }

  async getCountsPerPriority(priorities: number[]): Promise<number[]> {
    const counts = await countsByPriority(this.server, await this.#config.get());
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
    const values = await childValues(this.server, this.#queue, jobId, 'processed');
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)]));
  }

  async getIgnoredChildrenFailures(jobId: string): Promise<Record<string, string>> {
    const values = await childValues(this.server, this.#queue, jobId, 'ignored');
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
  }

  async getMetrics(type: 'completed' | 'failed', start = 0, end = -1): Promise<[string[], string[], number]> {
    await this.#config.ensure();
    return metricsOf(this.server, this.#queue, type, start, end);
  }

  /** Weir keeps no list of connected programs. */
  getClientList(): Promise<string[]> {
    return Promise.resolve([]);
  }

  paginate(key: string, opts: { start: number; end: number; fetchJobs?: boolean }) {
    return pageOf(this.server, this.#queue, key, opts);
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

  setRateLimit(expireTimeMs: number): Promise<void> {
    return this.#config.hold(expireTimeMs);
  }

  async removeRateLimitKey(): Promise<number> {
    return (await this.#config.letGo()) ? 1 : 0;
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

  /** Tells those who watch the queue. The server keeps a fixed number of events by itself. */
  async publishEvent(fields: Record<string, string | number>, _maxEvents: number): Promise<string> {
    const { event, ...data } = fields;
    return (await this.#config.tell(String(event), data)) ?? '';
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
