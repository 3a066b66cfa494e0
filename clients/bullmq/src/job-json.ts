// Jobs, between BullMQ's form and Weir's.

import type { JobJson, JobsOptions, KeepJobs, ParentKeys } from 'bullmq';
import type { Job, Keep, LeasedJob, NewJob, Retry } from './native.js';
import { queueOf } from './place.js';

/** The attribute that holds BullMQ's options of a job, as JSON. A job without it came through another door. */
const OPTIONS = 'bullmq';
/** What BullMQ calls a job that has no name. */
const NAMELESS = '__default__';
/** Longest description of a failure, a little below the server's 64 KiB. */
const FAILURE_BYTES_MAX = 60_000;

const FAILURES: Record<string, string> = {
  stalled: 'job stalled more than allowable limit',
  timed_out: 'the attempt took too long',
  cancelled: 'the job was cancelled',
  expired: 'the job was not started in time',
  child_failed: 'a child failed',
  reported: '',
};

/** What is stored of a failure. */
interface Failure {
  message: string;
  stack?: string;
}

/** A job as it is added. */
export function newJob(job: JobJson, jobId: string | undefined): NewJob {
  const opts = job.opts;
  const customId = jobId || job.id || undefined;
  const added: NewJob = {
    data: JSON.parse(job.data || '{}'),
    attributes: { [OPTIONS]: JSON.stringify(opts) },
  };
  if (job.name) {
    added.name = job.name;
  }
  if (customId) {
    added.custom_id = String(customId);
  }
  const delay = job.delay ?? opts.delay ?? 0;
  if (delay > 0) {
    added.delay_ms = Math.ceil(delay);
  }
  const priority = job.priority ?? opts.priority ?? 0;
  if (priority > 0) {
    added.priority = priority;
  }
  if (opts.lifo) {
    added.lifo = true;
  }
  const retry = retryOf(opts);
  if (retry) {
    added.retry = retry;
  }
  if (opts.removeOnComplete !== undefined) {
    added.keep_completed = keepOf(opts.removeOnComplete);
  }
  if (opts.removeOnFail !== undefined) {
    added.keep_failed = keepOf(opts.removeOnFail);
  }
  if (opts.deduplication) {
    added.deduplication = deduplicationOf(opts.deduplication);
  }
  if (opts.parent) {
    added.parent = { queue: queueOf(opts.parent.queue), id: opts.parent.id };
    added.on_failure = onFailureOf(opts);
  }
  return added;
}

export function onFailureOf(opts: JobsOptions): NonNullable<NewJob['on_failure']> {
  if (opts.failParentOnFailure) {
    return 'fail';
  }
  if (opts.continueParentOnFailure) {
    return 'continue';
  }
  if (opts.ignoreDependencyOnFailure) {
    return 'ignore';
  }
  return opts.removeDependencyOnFailure ? 'remove' : 'wait';
}

/** BullMQ decides itself when a failed job is tried again; this is for those who work on it through another door. */
function retryOf(opts: JobsOptions): Retry | undefined {
  const attempts = opts.attempts ?? 0;
  if (attempts <= 1) {
    return undefined;
  }
  const backoff = typeof opts.backoff === 'object' ? opts.backoff : undefined;
  const delay = Math.max(0, Math.floor(backoff?.delay ?? 0));
  return {
    attempts_max: Math.min(attempts, 1_000_000),
    backoff: backoff?.type === 'exponential' ? { exponential_ms: delay } : { fixed_ms: delay },
    jitter_percent: 100 * (backoff?.jitter ?? 0),
  };
}

/** What remains of finished jobs. */
export function keepOf(remove: boolean | number | KeepJobs): Keep {
  if (remove === true) {
    return { count: 0 };
  }
  if (remove === false) {
    return {};
  }
  if (typeof remove === 'number') {
    return remove < 0 ? {} : { count: remove };
  }
  const { age, count } = remove as { age?: number; count?: number };
  return {
    ...(age === undefined ? {} : { age_ms: Math.floor(1_000 * age) }),
    ...(count === undefined || count < 0 ? {} : { count }),
  };
}

function deduplicationOf(options: NonNullable<JobsOptions['deduplication']>): NonNullable<NewJob['deduplication']> {
  const { id, ttl, extend, replace, keepLastIfActive, reschedule } = options;
  return {
    id,
    ...(ttl && ttl > 0 && !keepLastIfActive ? { ttl_ms: ttl } : {}),
    ...(extend ? { extend: true } : {}),
    ...(replace ? { replace: true } : {}),
    ...(reschedule && !replace ? { reschedule: true } : {}),
    ...(keepLastIfActive ? { keep_last_if_active: true } : {}),
  };
}

/** What a failed attempt leaves: the reason, and the newest stack trace. */
export function failureOf(reason: string, stacktrace: unknown): Failure {
  const traces = typeof stacktrace === 'string' ? (JSON.parse(stacktrace) as unknown) : stacktrace;
  const stack = Array.isArray(traces) ? (traces.at(-1) as string | undefined) : undefined;
  const message = cut(String(reason), FAILURE_BYTES_MAX / 2);
  return stack === undefined ? { message } : { message, stack: cut(stack, FAILURE_BYTES_MAX / 2) };
}

/** The first so many bytes; characters in JSON take up to six bytes each. */
function cut(text: string, bytes: number): string {
  return Buffer.byteLength(JSON.stringify(text)) <= bytes ? text : text.slice(0, Math.floor(bytes / 6));
}

/** What a failure says, whoever reported it. */
export function reasonOf(kind: string | undefined, error: unknown): string {
  if (typeof error === 'string') {
    return error;
  }
  if (error !== null && typeof error === 'object' && 'message' in error) {
    return String(error.message);
  }
  return error === undefined || error === null ? (FAILURES[kind ?? ''] ?? '') : JSON.stringify(error);
}

/** Whether the job was added by BullMQ. */
export function isBull(job: { attributes?: Record<string, unknown> }): boolean {
  return typeof job.attributes?.[OPTIONS] === 'string';
}

/** BullMQ's options of a job; of one that came through another door those that say the same. */
export function optionsOf(job: Pick<Job, 'attributes' | 'priority'> & { retry?: Retry }): JobsOptions {
  const stored = job.attributes?.[OPTIONS];
  if (typeof stored === 'string') {
    try {
      return JSON.parse(stored) as JobsOptions;
    } catch {
      // Somebody else's attribute of this name.
    }
  }
  return { attempts: job.retry?.attempts_max ?? 0, ...(job.priority > 0 ? { priority: job.priority } : {}) };
}

/** The id by which BullMQ knows the job. */
export function idOf(job: { id: string; custom_id?: string }): string {
  return job.custom_id ?? job.id;
}

function common(job: LeasedJob | Job): Omit<JobJson, 'attemptsMade' | 'failedReason' | 'returnvalue' | 'progress'> {
  const opts = optionsOf(job);
  // One that left its parent names it in its options still.
  const parent = 'history' in job && !job.parent ? undefined : parentOf(opts);
  return {
    id: idOf(job),
    name: job.name ?? (isBull(job) ? '' : NAMELESS),
    data: JSON.stringify(job.data),
    opts,
    timestamp: opts.timestamp ?? job.added_at_ms,
    priority: job.priority,
    delay: 0,
    attemptsStarted: job.starts ?? job.leases,
    stalledCounter: job.stalls ?? 0,
    ...(parent ? { parent, parentKey: `${parent.queueKey}:${parent.id}` } : {}),
    ...(opts.repeatJobKey ? { repeatJobKey: opts.repeatJobKey } : {}),
    ...(opts.deduplication ? { deduplicationId: opts.deduplication.id } : {}),
  };
}

/** A job that was just leased. `before` is what is known of it where it was leased before. */
export function leasedJson(job: LeasedJob, before: Job | undefined): JobJson {
  return {
    ...common(job),
    attemptsMade: job.attempt - 1,
    processedOn: Date.now(),
    progress: (before?.progress ?? 0) as JobJson['progress'],
    stacktrace: JSON.stringify(before ? stacktraceOf(before) : []),
    ...(before ? failed(before) : {}),
  } as JobJson;
}

/** All about a job. */
export function jobJson(job: Job): JobJson {
  const done = job.state === 'completed';
  const json = common(job);
  return {
    ...json,
    ...(job.state === 'delayed' && job.due_at_ms ? { delay: Math.max(0, job.due_at_ms - json.timestamp) } : {}),
    attemptsMade: job.failures + (done ? 1 : 0),
    progress: (job.progress ?? 0) as JobJson['progress'],
    stacktrace: JSON.stringify(stacktraceOf(job)),
    ...(job.started_at_ms === undefined ? {} : { processedOn: job.started_at_ms }),
    ...(job.finished_at_ms === undefined ? {} : { finishedOn: job.finished_at_ms }),
    ...(done ? { returnvalue: JSON.stringify(job.result ?? null) } : {}),
    ...failed(job),
  } as JobJson;
}

function failed(job: Job): { failedReason?: string } {
  const reason = failedReasonOf(job);
  return reason === undefined ? {} : { failedReason: reason };
}

/** Why the job failed, at last or for good. */
export function failedReasonOf(job: Job): string | undefined {
  const last = job.history.at(-1);
  if (last && (job.failed === undefined || last.kind === job.failed)) {
    return job.state === 'completed' ? undefined : reasonOf(last.kind, last.error);
  }
  return job.failed === undefined ? undefined : reasonOf(job.failed, undefined);
}

function stacktraceOf(job: Job): string[] {
  const traces = job.history.flatMap(({ error }) => {
    const stack = (error as Partial<Failure> | undefined | null)?.stack;
    return typeof stack === 'string' ? [stack] : [];
  });
  const most = optionsOf(job).stackTraceLimit;
  return most === undefined ? traces : most === 0 ? [] : traces.slice(-most);
}

/** The parent as BullMQ's jobs carry it. */
function parentOf(opts: JobsOptions): ParentKeys | undefined {
  if (!opts.parent) {
    return undefined;
  }
  return {
    id: opts.parent.id,
    queueKey: opts.parent.queue,
    ...(opts.failParentOnFailure ? { fpof: true } : {}),
    ...(opts.removeDependencyOnFailure ? { rdof: true } : {}),
    ...(opts.ignoreDependencyOnFailure ? { idof: true } : {}),
    ...(opts.continueParentOnFailure ? { cpof: true } : {}),
  };
}
