// The children of a job, by BullMQ's keys.

import type { DependenciesOpts, JobJson } from 'bullmq';
import { NotSupportedError, WeirError } from './errors.js';
import { idOf, jobJson, optionsOf, reasonOf } from './job-json.js';
import type { Child, Job } from './native.js';
import { parseKey, qualifiedOf } from './place.js';
import { jobPath } from './server.js';
import type { Server } from './server.js';

const PAGE = 256;

export type Standing = 'processed' | 'unprocessed' | 'ignored' | 'failed';

/** A child as BullMQ sees it from its parent. */
export interface Kin {
  key: string;
  standing: Standing;
  /** What came of it: its result, or why it failed. */
  value: unknown;
  json: JobJson | undefined;
}

export async function childrenOf(server: Server, queue: string, id: string): Promise<Kin[]> {
  const children: Child[] = [];
  let cursor: string | undefined;
  try {
    do {
      const query = `limit=${PAGE}${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const page: { children: Child[]; cursor?: string } = await server.ask('GET', `${jobPath(queue, id, 'children')}?${query}`);
      children.push(...page.children);
      cursor = page.cursor;
    } while (cursor !== undefined);
  } catch (error) {
    if (error instanceof WeirError && error.status === 404) {
      return [];
    }
    throw error;
  }
  return Promise.all(children.map(child => kin(server, queue, child)));
}

async function kin(server: Server, parentQueue: string, child: Child): Promise<Kin> {
  const queue = child.queue ?? parentQueue;
  const job = await known(server, queue, child.id);
  if (job) {
    server.remember(queue, child.id, idOf(job));
  }
  const id = job ? idOf(job) : (server.remembered(queue, child.id) ?? child.id);
  const standing = standingOf(child, job);
  const value = standing === 'ignored' ? reasonOf(job?.failed, child.result) : child.result;
  return { key: `${qualifiedOf(queue)}:${id}`, standing, value, json: job && jobJson(job) };
}

function standingOf({ state }: Child, job: Job | undefined): Standing {
  if (state === 'completed') {
    return 'processed';
  }
  if (state !== 'failed') {
    return 'unprocessed';
  }
  return job && optionsOf(job).failParentOnFailure ? 'failed' : 'ignored';
}

async function known(server: Server, queue: string, id: string): Promise<Job | undefined> {
  try {
    return await server.ask<Job>('GET', jobPath(queue, id));
  } catch (error) {
    if (error instanceof WeirError && error.status === 404) {
      return undefined;
    }
    throw error;
  }
}

/** What came of the children that stand so, by their keys. */
export async function childValues(server: Server, queue: string, id: string, standing: Standing): Promise<Record<string, unknown>> {
  const children = (await childrenOf(server, queue, id)).filter(child => child.standing === standing);
  return Object.fromEntries(children.map(({ key, value }) => [key, value ?? null]));
}

/** A page of the children of a job, by the key of a set of them. */
export async function pageOf(server: Server, queue: string, key: string, opts: { start: number; end: number; fetchJobs?: boolean }) {
  const { id } = parseKey(key);
  const match = /^(.*):(processed|dependencies)$/s.exec(id);
  if (!match) {
    throw new NotSupportedError(`paginate of ${key}`);
  }
  const processed = match[2] === 'processed';
  const children = await childrenOf(server, queue, match[1] as string);
  const all = children.filter(({ standing }) => standing === (processed ? 'processed' : 'unprocessed'));
  const page = all.slice(opts.start, opts.end < 0 ? all.length + opts.end + 1 : opts.end + 1);
  return {
    cursor: '0',
    items: page.map(({ key, value }) => (processed ? { id: key, v: value ?? null } : { id: key })),
    total: all.length,
    ...(opts.fetchJobs ? { jobs: page.flatMap(({ json }) => (json ? [json] : [])) } : {}),
  };
}

/** BullMQ's answer to what a job depends on. */
export function dependencies(children: Kin[], opts: DependenciesOpts) {
  const of = (standing: Standing) => children.filter(child => child.standing === standing);
  const values = (kin: Kin[]) => Object.fromEntries(kin.map(({ key, value }) => [key, value ?? null]));
  const keys = (kin: Kin[]) => kin.map(({ key }) => key);
  if (!opts.processed && !opts.unprocessed && !opts.ignored && !opts.failed) {
    return {
      processed: values(of('processed')),
      unprocessed: keys(of('unprocessed')),
      ignored: values(of('ignored')),
      failed: keys(of('failed')),
    };
  }
  const page = (standing: Standing) => {
    const { cursor = 0, count = 20 } = opts[standing] ?? {};
    const all = of(standing);
    return { kin: all.slice(cursor, cursor + count), next: cursor + count < all.length ? cursor + count : 0 };
  };
  const [processed, unprocessed, ignored, failed] = [page('processed'), page('unprocessed'), page('ignored'), page('failed')];
  return {
    ...(opts.processed ? { processed: values(processed.kin), nextProcessedCursor: processed.next } : {}),
    ...(opts.unprocessed ? { unprocessed: keys(unprocessed.kin), nextUnprocessedCursor: unprocessed.next } : {}),
    ...(opts.ignored ? { ignored: values(ignored.kin), nextIgnoredCursor: ignored.next } : {}),
    ...(opts.failed ? { failed: keys(failed.kin), nextFailedCursor: failed.next } : {}),
  };
}
