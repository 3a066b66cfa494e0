// Leasing and settling: what a worker does with a queue. What is asked for at the same time goes in one request.

import { Group } from './group.js';
import { WeirConnectionError, WeirError } from './errors.js';
import type { Job, LeasedJob, Settled, Settlement } from './native.js';
import { jobPath, queuePath } from './server.js';
import type { Server } from './server.js';

/** Most entries of a request. */
const AT_ONCE = 500;
/** Requests on their way at once: one works while the next is collected. */
const ON_THE_WAY = 2;

/** A job that was leased, and since when that is known, by the clock of `performance.now()`. */
export interface Taken {
  job: LeasedJob;
  since: number;
}

interface Wanted {
  settle?: Settlement & { jobId: string };
  lease: boolean;
}

interface Got {
  settled?: Settled;
  taken?: Taken;
}

export class Work {
  readonly #group = new Group<Wanted, Got>(wanted => this.#send(wanted), { most: AT_ONCE, onTheWayMost: ON_THE_WAY });

  constructor(
    private readonly server: Server,
    private readonly queue: string,
    private readonly leaseMs: () => number,
  ) {}

  /** Settles a lease, where one is given, and leases a job, where one is wanted: one round trip. */
  do(wanted: Wanted): Promise<Got> {
    return this.#group.push(wanted);
  }

  /** Resolves once nothing is on its way. */
  settled(): Promise<void> {
    return this.#group.settled();
  }

  async #send(wanted: Wanted[]): Promise<Got[]> {
    const settlements = wanted.flatMap(({ settle }) => (settle ? [settle] : []));
    const max = wanted.filter(({ lease }) => lease).length;
    const settle = settlements.map(({ jobId: _, ...settlement }) => settlement);
    const body = { max, lease_ms: this.leaseMs(), ...(settle.length > 0 ? { settle } : {}) };
    let answer: { jobs: LeasedJob[]; settled?: Settled[] };
    let repeated = false;
    try {
      answer = await this.server.ask('POST', queuePath(this.queue, 'lease'), body);
    } catch (error) {
      if (!(error instanceof WeirConnectionError) || settle.length === 0) {
        throw error;
      }
      // Whether it was done is not known. To settle once more changes nothing if it was.
      repeated = true;
      answer = await this.server.ask('POST', queuePath(this.queue, 'lease'), body, { repeatable: true });
    }
    const since = performance.now();
    const settled = answer.settled ?? [];
    if (repeated) {
      await Promise.all(
        settled.map(async (outcome, at) => {
          const settlement = settlements[at];
          if (outcome.code === 'lease.lost' && settlement && (await this.#wasDone(settlement))) {
            settled[at] = {};
          }
        }),
      );
    }
    let nextSettled = 0;
    let nextJob = 0;
    return wanted.map(({ settle, lease }) => {
      const got: Got = {};
      if (settle) {
        got.settled = settled[nextSettled] ?? {};
        nextSettled += 1;
      }
      const job = lease ? answer.jobs[nextJob] : undefined;
      if (job) {
        got.taken = { job, since };
        nextJob += 1;
      }
      return got;
    });
  }

  /** Whether a settlement whose answer was lost had been carried out, as far as the job shows. */
  async #wasDone({ jobId, action = 'complete' }: Settlement & { jobId: string }): Promise<boolean> {
    try {
      const job = await this.server.ask<Job>('GET', jobPath(this.queue, jobId));
      return action === 'complete' ? job.state === 'completed' : job.state !== 'leased' && job.state !== 'completed';
    } catch (error) {
      if (error instanceof WeirError && error.status === 404) {
        return action === 'complete' || action === 'fail';
      }
      throw error;
    }
  }
}
