// Errors: those of the server, and those that programs know from BullMQ.

/** What the server refused, with its stable code; docs/errors.md lists the codes. */
export class WeirError extends Error {
  override readonly name = 'WeirError';

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly retryAfterMs?: number,
  ) {
    super(`${detail} (${code})`);
  }
}

/**
 * The server cannot be reached, or the connection ended before its answer. BullMQ knows the code: it waits and tries
 * again.
 */
export class WeirConnectionError extends Error {
  override readonly name = 'WeirConnectionError';
  readonly code = 'ECONNREFUSED';

  constructor(url: string, override readonly cause: unknown) {
    super(`no answer from Weir at ${url}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** What BullMQ asks for and this backend cannot do yet. */
export class NotSupportedError extends Error {
  override readonly name = 'NotSupportedError';

  constructor(what: string) {
    super(`${what} is not supported yet by weir-bullmq; see docs/bullmq.md`);
  }
}

/** BullMQ's numbers of what is wrong with a job. */
export const Code = {
  JobNotExist: -1,
  JobLockNotExist: -2,
  JobNotInState: -3,
  JobPendingChildren: -4,
  ParentJobNotExist: -5,
  JobLockMismatch: -6,
  JobBelongsToJobScheduler: -8,
  SchedulerJobIdCollision: -10,
  SchedulerJobSlotsBusy: -11,
} as const;

export type BullCode = (typeof Code)[keyof typeof Code];

/** An error with the text and the number that BullMQ's own backends give it: programs look for both. */
export function bullError(
  code: BullCode,
  command: string,
  about: { jobId?: string | undefined; parentKey?: string | undefined; state?: string } = {},
): Error & { code: BullCode } {
  const { jobId, parentKey, state } = about;
  const texts: Record<BullCode, string> = {
    [Code.JobNotExist]: `Missing key for job ${jobId}`,
    [Code.JobLockNotExist]: `Missing lock for job ${jobId}`,
    [Code.JobNotInState]: `Job ${jobId} is not in the ${state} state`,
    [Code.JobPendingChildren]: `Job ${jobId} has pending dependencies`,
    [Code.ParentJobNotExist]: `Missing key for parent job ${parentKey}`,
    [Code.JobLockMismatch]: `Lock mismatch for job ${jobId}. Cmd ${command} from ${state}`,
    [Code.JobBelongsToJobScheduler]: `Job ${jobId} belongs to a job scheduler and cannot be removed directly`,
    [Code.SchedulerJobIdCollision]: 'Cannot create job scheduler iteration - job ID already exists',
    [Code.SchedulerJobSlotsBusy]:
      'Cannot create job scheduler iteration - current and next time slots already have jobs',
  };
  const text = code === Code.JobLockMismatch ? texts[code] : `${texts[code]}. ${command}`;
  return Object.assign(new Error(text), { code });
}

/** Whether the server said that the job, or its queue, is not there. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof WeirError &&
    ['job.not_found', 'message.not_found', 'queue.not_found'].includes(error.code)
  );
}
