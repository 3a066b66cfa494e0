// What is asked of BullMQ, whatever it runs on. Each workload tells how many jobs it did, in what time, and for a rate
// of jobs how long each waited.

/** What each job carries: about 130 bytes. */
const DATA = { to: 'ada@example.com', subject: 'welcome', text: 'a line of text that is as long as lines in a mail are, '.repeat(2) };

/** Requests that a producer of single jobs has under way at once. */
const UNDER_WAY = 100;
const BULK = 1_000;

/** Calls `act` so often, so many calls at once. */
async function repeat(times, atOnce, act) {
  let begun = 0;
  const one = async () => {
    while (begun < times) {
      begun += 1;
      await act();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

async function fill(queue, jobs) {
  for (let added = 0; added < jobs; added += BULK) {
    await queue.addBulk(Array.from({ length: Math.min(BULK, jobs - added) }, () => ({ name: 'mail', data: DATA })));
  }
}

/** Once a worker has completed so many jobs. */
function completed(worker, jobs) {
  return new Promise((resolve, reject) => {
    let done = 0;
    worker.on('completed', () => (done += 1) === jobs && resolve());
    worker.on('failed', (_, error) => reject(error));
  });
}

const add = jobs => ({
  jobs,
  async run({ queue, timed }) {
    const mails = queue();
    await timed(() => repeat(jobs, UNDER_WAY, () => mails.add('mail', DATA)));
  },
});

const addBulk = jobs => ({
  jobs,
  async run({ queue, timed }) {
    const mails = queue();
    await timed(() => fill(mails, jobs));
  },
});

const work = (concurrency, jobs) => ({
  jobs,
  async run({ queue, worker, timed }) {
    await fill(queue(), jobs);
    const working = worker(async () => {}, { concurrency, autorun: false });
    await working.waitUntilReady();
    await timed(() => {
      working.run();
      return completed(working, jobs);
    });
  },
});

const both = jobs => ({
  jobs,
  async run({ queue, worker, timed }) {
    const mails = queue();
    const working = worker(async () => {}, { concurrency: UNDER_WAY, autorun: false });
    await working.waitUntilReady();
    await timed(() => {
      working.run();
      return Promise.all([completed(working, jobs), repeat(jobs, UNDER_WAY, () => mails.add('mail', DATA))]);
    });
  },
});

/** So many jobs a second, each added at its time whatever became of those before. */
const latency = (perSecond, jobs) => ({
  jobs,
  async run({ queue, worker, timed, waited }) {
    const mails = queue();
    const working = worker(async job => void waited(performance.now() - job.data.at), { concurrency: 10 });
    await working.waitUntilReady();
    await timed(async () => {
      const all = completed(working, jobs);
      const began = performance.now();
      const adding = [];
      for (let number = 0; number < jobs; number += 1) {
        const due = began + (number * 1_000) / perSecond;
        await new Promise(resolve => setTimeout(resolve, Math.max(0, due - performance.now())));
        adding.push(mails.add('mail', { ...DATA, at: performance.now() }));
      }
      await Promise.all([all, ...adding]);
    });
  },
});

/** All of them, `scale` times as long as they are by default. */
export function workloads(scale) {
  const some = jobs => Math.max(200, Math.round(jobs * scale));
  return {
    add: add(some(20_000)),
    addBulk: addBulk(some(40_000)),
    'process, concurrency 1': work(1, some(4_000)),
    'process, concurrency 10': work(10, some(10_000)),
    'process, concurrency 100': work(100, some(20_000)),
    'add and process': both(some(10_000)),
    'latency at 200 jobs/s': latency(200, some(1_000)),
  };
}
