// Ranges and counts of jobs by BullMQ's states, from Weir's pages.

import type { JobType } from 'bullmq';
import { idOf } from './job-json.js';
import type { ListedJob, Queue, State } from './native.js';
import { queuePath } from './server.js';
import type { Server } from './server.js';

const PAGE = 256;

/** BullMQ's states of jobs as Weir lists them. Jobs with a priority are BullMQ's `prioritized`. */
const LISTS: Record<string, { state: State; takes?: (job: ListedJob) => boolean; newestFirst?: boolean; list?: boolean }> = {
  wait: { state: 'ready', takes: job => job.priority === 0, list: true },
  prioritized: { state: 'ready', takes: job => job.priority > 0 },
  active: { state: 'leased', list: true },
  delayed: { state: 'delayed' },
  'waiting-children': { state: 'waiting' },
  completed: { state: 'completed', newestFirst: true },
  failed: { state: 'failed', newestFirst: true },
};

/** States of BullMQ's past: jobs of a paused queue wait as they do otherwise. */
const EMPTY = new Set(['paused', 'repeat']);

export function typeOf(type: string): string {
  return type === 'waiting' ? 'wait' : type;
}

export function listOf(type: string): (typeof LISTS)[string] {
  const list = LISTS[typeOf(type)];
  if (!list) {
    throw new Error(`Unknown job state: ${type}`);
  }
  return list;
}

/** All jobs of a state in Weir's order: ready ones as they will run, delayed ones by their time, finished ones newest first. */
export async function* jobsOf(server: Server, queue: string, type: string): AsyncGenerator<ListedJob> {
  const { state, takes } = listOf(type);
  let cursor: string | undefined;
  do {
    const query = `states=${state}&limit=${PAGE}${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: { jobs: ListedJob[]; cursor?: string } = await server.ask('GET', `${queuePath(queue, 'jobs')}?${query}`);
    for (const job of page.jobs) {
      // A job may have moved on between two pages of several states; here there is one.
      if (!takes || takes(job)) {
        yield job;
      } else if (typeOf(type) === 'wait' && job.priority > 0) {
        // Ready jobs come by priority: no more without one.
        return;
      }
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Ids of the jobs of a state from `start` to `end`, both included and -1 for the last, in BullMQ's order. */
export async function rangeOf(server: Server, queue: string, type: string, start: number, end: number, asc: boolean): Promise<string[]> {
  if (EMPTY.has(type)) {
    return [];
  }
  const { newestFirst = false, list = false } = listOf(type);
  const ids: string[] = [];
  if (asc !== newestFirst && start >= 0 && end >= 0) {
    // As Weir lists them: no more than is asked for.
    for await (const job of jobsOf(server, queue, type)) {
      ids.push(idOf(job));
      if (ids.length > end) {
        break;
      }
    }
  } else {
    for await (const job of jobsOf(server, queue, type)) {
      ids.push(idOf(job));
    }
    if (asc === newestFirst) {
      ids.reverse();
    }
  }
  const from = start < 0 ? Math.max(0, ids.length + start) : start;
  const to = end < 0 ? ids.length + end : end;
  const range = ids.slice(from, to + 1);
  // What lies in a list of Redis is given from its other end, and turned round by the caller.
  return asc && list ? range.reverse() : range;
}

/** How many jobs there are of each type. */
export async function countsOf(server: Server, queue: Queue, types: JobType[]): Promise<number[]> {
  const { counters } = queue;
  const wants = new Set(types.map(typeOf));
  const waiting = wants.has('wait') || wants.has('prioritized') ? ((await countsByPriority(server, queue)).get(0) ?? 0) : 0;
  const counts: Record<string, number> = {
    wait: waiting,
    prioritized: Math.max(0, counters.ready - waiting),
    active: counters.leased,
    delayed: counters.delayed,
    'waiting-children': counters.waiting,
    completed: counters.completed,
    failed: counters.failed,
  };
  return types.map(type => counts[typeOf(type)] ?? 0);
}

/** How many delayed jobs are due by a time. */
export async function delayedBefore(server: Server, queue: string, timestamp: number): Promise<number> {
  let delayed = 0;
  for await (const job of jobsOf(server, queue, 'delayed')) {
    if ((job.due_at_ms ?? 0) >= timestamp) {
      break;
    }
    delayed += 1;
  }
  return delayed;
}

/** How many waiting jobs there are of each priority. Where the server does not count so many different ones, all are looked at. */
export async function countsByPriority(server: Server, queue: Queue): Promise<Map<number, number>> {
  if (queue.ready_priorities) {
    return new Map(queue.ready_priorities.map(({ priority, count }) => [priority, count]));
  }
  const counts = new Map<number, number>();
  for (const type of ['wait', 'prioritized']) {
    for await (const { priority } of jobsOf(server, queue.name, type)) {
      counts.set(priority, (counts.get(priority) ?? 0) + 1);
    }
  }
  return counts;
}
