// Flows: trees of jobs over several queues, added by one request.

import type { JobJson, ParentKeyOpts } from 'bullmq';
import { newJob } from './job-json.js';
import type { AddedJob, NewJob } from './native.js';
import { Place } from './place.js';
import { withQueue } from './queue.js';
import type { Server } from './server.js';

export interface FlowEntry {
  jobData: JobJson;
  jobId: string;
  parentKeyOpts: ParentKeyOpts;
  prefix: string;
  queueName: string;
}

/** Adds flows, all or nothing. The ids are in the order of the entries. */
export async function addFlow(server: Server, entries: FlowEntry[]): Promise<string[]> {
  const nodes = new Map<string, { job: NewJob; at: number; children: string[] }>();
  const roots: string[] = [];
  const keys = entries.map(({ prefix, queueName, jobId }) => new Place(prefix, queueName).key(jobId));
  entries.forEach((entry, at) => {
    const job = newJob(entry.jobData, entry.jobId);
    job.queue = new Place(entry.prefix, entry.queueName).queue;
    nodes.set(keys[at] as string, { job, at, children: [] });
  });
  entries.forEach(({ parentKeyOpts }, at) => {
    const key = keys[at] as string;
    const parent = parentKeyOpts.parentKey === undefined ? undefined : nodes.get(parentKeyOpts.parentKey);
    if (parent) {
      // It is named by its place in the tree.
      delete nodes.get(key)?.job.parent;
      parent.children.push(key);
    } else {
      roots.push(key);
    }
  });
  // The answer has a job before its children.
  const order: number[] = [];
  const grow = (key: string): NewJob => {
    const node = nodes.get(key);
    if (!node) {
      throw new Error(`the flow has no job ${key}`);
    }
    order.push(node.at);
    const children = node.children.map(grow);
    return children.length > 0 ? { ...node.job, children } : node.job;
  };
  const jobs = roots.map(grow);
  const queues = [...new Set([...nodes.values()].map(({ job }) => job.queue as string))];
  const answer = await withQueue(server, queues, () => server.ask<{ jobs: AddedJob[] }>('POST', '/v1/jobs', { jobs }));
  const ids = new Array<string>(entries.length);
  answer.jobs.forEach((added, nth) => {
    const at = order[nth] as number;
    ids[at] = entries[at]?.jobId || added.id;
  });
  return ids;
}
