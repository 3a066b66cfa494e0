// BullMQ on Weir for as long as WEIR_SOAK_MINUTES says (60), while connections are cut at random or fall silent, workers
// are killed, and the server is killed and started again. In rounds of a minute: after each everything is let be, and by
// the end of it no job may be lost or stuck, none may have run twice at once, or again after it was completed, and a job
// scheduler must go on.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';
import { Weir } from '../test/weir.mjs';
import { Ledger } from './ledger.mjs';
import { Proxy } from '../test/proxy.mjs';

const MINUTES = Number(process.env.WEIR_SOAK_MINUTES ?? 60);
const ROUND_MS = 60_000;
/** How long what was interrupted may take to be done with: locks and delays end within it. */
const PATIENCE_MS = 180_000;
const WORKERS = 3;
const QUEUES = ['soak', 'soak-children'];

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const between = (low, high) => low + Math.random() * (high - low);
const monotonic = () => Number(process.hrtime.bigint() / 1_000n);

const weir = await Weir.start();
const proxy = await Proxy.before(Number(new URL(weir.url).port));
const url = `http://127.0.0.1:${proxy.port}`;
const ledger = new Ledger();
const workers = new Set();
const totals = { jobs: 0, runs: 0, cuts: 0, silences: 0, 'workers killed': 0, 'servers killed': 0, 'adds repeated': 0, 'longest standstill in ms': 0 };
let ending = false;

// Where the machine itself stands still for as long as a lock lasts, that explains much.
let looked = monotonic();
setInterval(() => {
  const now = monotonic();
  totals['longest standstill in ms'] = Math.max(totals['longest standstill in ms'], Math.round((now - looked) / 1_000) - 100);
  looked = now;
}, 100).unref();

/** Starts a worker, and another one when it ends. */
function hire() {
  const worker = spawn(process.execPath, [fileURLToPath(new URL('worker.mjs', import.meta.url)), url, ...QUEUES], { stdio: ['ignore', 'pipe', 'inherit'] });
  workers.add(worker);
  createInterface({ input: worker.stdout })
    .on('line', line => {
      const [what, id, at, stalls] = line.split(' ');
      ledger.said(worker.pid, what, id, Number(at), Number(stalls));
    })
    // All that it wrote has been read.
    .on('close', () => {
      ledger.gone(worker.pid, monotonic());
      workers.delete(worker);
      if (!ending) {
        hire();
      }
    });
}

/** What goes wrong, at random, until told to stop. */
function trouble(stopped) {
  const often = async (low, high, act) => {
    for (;;) {
      await Promise.race([pause(between(low, high)), stopped]);
      if (stopped.done) {
        return;
      }
      await act();
    }
  };
  return Promise.all([
    often(100, 1_500, () => (totals.cuts += proxy.cut(0.4))),
    often(5_000, 20_000, async () => {
      totals.silences += 1;
      const end = proxy.silence();
      await pause(between(100, 2_000));
      end();
    }),
    often(4_000, 12_000, () => {
      totals['workers killed'] += 1;
      [...workers][Math.floor(Math.random() * workers.size)].kill('SIGKILL');
    }),
    often(8_000, 25_000, async () => {
      totals['servers killed'] += 1;
      await weir.kill();
      await weir.start();
    }),
  ]);
}

/** Does what may be repeated until it is answered. */
async function insist(act) {
  for (const until = Date.now() + PATIENCE_MS; ; ) {
    try {
      return await act();
    } catch (error) {
      if (Date.now() > until) {
        throw error;
      }
      totals['adds repeated'] += 1;
      await pause(20);
    }
  }
}

/** Jobs of every kind, a hundred or two a second, until told to stop. */
async function produce(round, { queue, flows, stopped }) {
  const one = async number => {
    const id = `job-${round}-${number}`;
    const kinds = [
      {},
      { delay: between(1, 3_000) },
      { priority: 1 + (number % 5) },
      { attempts: 10, backoff: { type: 'exponential', delay: 20 } },
      { lifo: true },
    ];
    if (number % 6 === 5) {
      const children = [1, 2].map(child => ({ name: 'child', queueName: QUEUES[1], data: {}, opts: { jobId: `${id}-${child}` } }));
      await insist(() => flows.add({ name: 'parent', queueName: QUEUES[0], data: {}, opts: { jobId: id }, children }));
      children.forEach(({ opts }) => ledger.added(opts.jobId));
    } else {
      const options = kinds[number % 6];
      await insist(() => queue.add('job', { failures: options.attempts ? 2 : 0 }, { jobId: id, ...options }));
    }
    ledger.added(id);
  };
  let number = 0;
  const lane = async () => {
    while (!stopped.done) {
      number += 1;
      await one(number);
      await pause(50);
    }
  };
  await Promise.all(Array.from({ length: 10 }, lane));
}

/** Waits for what must happen, and says what is left if it does not. */
async function settled(what, condition) {
  for (const until = Date.now() + PATIENCE_MS; ; await pause(100)) {
    const left = await condition().catch(error => ({ error }));
    if (left === undefined) {
      return;
    }
    assert.ok(Date.now() < until, `${what}: ${JSON.stringify(left)}`);
  }
}

async function round(number, ms) {
  const classes = withBackend(createWeirBackend);
  const queues = QUEUES.map(name => new classes.Queue(name, { connection: { url } }));
  const [queue] = queues;
  const flows = new classes.FlowProducer({ connection: { url } });
  [...queues, flows].forEach(one => one.on('error', () => {}));

  const scheduler = `tick-${number}`;
  await insist(() => queue.upsertJobScheduler(scheduler, { every: 500 }, { name: 'tick', data: {} }));

  let stop;
  const stopped = new Promise(resolve => (stop = resolve));
  const ended = Promise.all([trouble(stopped), produce(number, { queue, flows, stopped })]);
  await pause(ms);
  stopped.done = true;
  stop();
  await ended;

  const ticks = async () => (await queue.getJobScheduler(scheduler)).iterationCount;
  const before = await insist(ticks);
  await settled('a scheduler that no longer adds jobs', async () => ((await ticks()) > before + 2 ? undefined : { before }));
  await insist(() => queue.removeJobScheduler(scheduler));

  await settled('stuck jobs', async () => {
    const counts = await Promise.all(queues.map(one => one.getJobCounts('active', 'waiting', 'prioritized', 'delayed', 'waiting-children')));
    return counts.some(each => Object.values(each).some(count => count > 0)) ? counts : undefined;
  });
  for (const one of queues) {
    const failed = await one.getFailed(0, 10);
    assert.deepEqual(failed.map(({ id, failedReason }) => `${id}: ${failedReason}`), [], 'failed jobs');
  }
  console.log(`round ${number} is over: ${JSON.stringify(totals)}`);
  assert.deepEqual(ledger.lost(), [], 'lost jobs');
  assert.deepEqual(ledger.twiceAtOnce(), [], 'jobs that ran twice at once');
  assert.deepEqual(ledger.runAfterCompletion(), [], 'jobs that ran after they were completed');
  totals.jobs += ledger.size;
  totals.runs += ledger.runs;
  console.log(`round ${number}: ${ledger.size} jobs in ${ledger.runs} runs; so far ${JSON.stringify(totals)}`);
  ledger.clear();
  for (const one of queues) {
    await insist(() => one.obliterate({ force: true }));
    await one.close();
  }
  await flows.close();
}

const until = Date.now() + MINUTES * 60_000;
try {
  Array.from({ length: WORKERS }, hire);
  for (let number = 1; Date.now() < until; number += 1) {
    await round(number, Math.min(ROUND_MS, until - Date.now()));
  }
  console.log('no job was lost, stuck, run twice at once, or run after it was completed');
} finally {
  ending = true;
  for (const worker of workers) {
    const exit = once(worker, 'exit');
    worker.kill('SIGKILL');
    await exit;
  }
  proxy.close();
  await weir.stop();
}
process.exit();
