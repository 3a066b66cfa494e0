// A worker in a process of its own, for the soak test: `node worker.mjs URL QUEUE…`. It says on its standard output what
// it begins and ends, with the machine's monotonic time, so that this is known of a process that was killed, too.

import { writeSync } from 'node:fs';
import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';

const [url, ...queues] = process.argv.slice(2);
const { Worker } = withBackend(createWeirBackend);
const say = (what, job) => writeSync(1, `${what} ${job.id} ${process.hrtime.bigint() / 1_000n} ${job.stalledCounter}\n`);

async function work(job) {
  say('begin', job);
  await new Promise(resolve => setTimeout(resolve, Math.random() * 20));
  const fails = job.data.failures > job.attemptsMade;
  say('end', job);
  if (fails) {
    throw new Error(`attempt ${job.attemptsMade + 1} is meant to fail`);
  }
}

for (const queue of queues) {
  // Locks have BullMQ's length: it fetches as many jobs as it may work on one after the other before it begins the first,
  // so a lock has to outlast all that goes wrong in between, such as a restart of the server. What was handed out over a
  // connection that broke counts as stalled, so stalls have no bound here. The queues are obliterated after each round,
  // and are to know that again soon.
  const settings = {
    connection: { url },
    concurrency: 20,
    lockDuration: 30_000,
    maxStalledCount: 1_000_000,
    stalledInterval: 1_000,
    drainDelay: 1,
    runRetryDelay: 200,
  };
  const worker = new Worker(queue, work, settings);
  worker.on('completed', job => say('completed', job));
  worker.on('error', () => {});
}
