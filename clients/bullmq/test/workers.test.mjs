// Workers: the examples of BullMQ's guide to workers, retries, rate limits and patterns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DelayedError, RateLimitError, UnrecoverableError, WaitingError } from 'bullmq';
import { eventually, gated, shared, told, world } from './weir.mjs';

const weir = await shared();

test('a worker works on as many jobs at once as its concurrency says', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  await paint.addBulk(Array.from({ length: 200 }, (_, number) => ({ name: 'paint', data: { number } })));
  let running = 0;
  let most = 0;
  const working = worker(
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(resolve => setImmediate(resolve));
      running -= 1;
    },
    { concurrency: 20 },
  );
  await told(working, 'completed', 200);
  assert.equal(most, 20);
  assert.equal(await paint.getCompletedCount(), 200);
});

test('a worker tells of its jobs, and of having none left', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async job => job.updateProgress(50));
  const all = Promise.all(['active', 'progress', 'completed', 'drained'].map(event => told(working, event)));
  const job = await paint.add('cars', {});
  const [[[active]], [[progressed, progress]], [[completed]]] = await all;
  assert.deepEqual([active.id, progressed.id, progress, completed.id], [job.id, job.id, 50, job.id]);
});

test('a failed job is tried again as often as it says, with its backoff', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const exhausted = told(heard, 'retries-exhausted');
  const working = worker(async job => {
    throw new Error(`attempt ${job.attemptsMade + 1}`);
  });
  const failures = told(working, 'failed', 3);
  const began = Date.now();
  const job = await paint.add('cars', {}, { attempts: 3, backoff: { type: 'exponential', delay: 50 } });
  const errors = (await failures).map(([, error]) => error.message);
  assert.deepEqual(errors, ['attempt 1', 'attempt 2', 'attempt 3']);
  assert.ok(Date.now() - began >= 150, 'after 50 and 100 ms');
  const failed = await eventually(async () => (await paint.getFailed())[0]);
  assert.deepEqual([failed.attemptsMade, failed.attemptsStarted, failed.failedReason], [3, 3, 'attempt 3']);
  assert.deepEqual(failed.stacktrace.map(trace => trace.split('\n')[0]), errors.map(error => `Error: ${error}`));
  assert.deepEqual((await exhausted)[0][0], { jobId: job.id, attemptsMade: '3' });
});

test('a job without a backoff is tried again at once, and knows what it did before', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const seen = [];
  const working = worker(async job => {
    seen.push([job.attemptsMade, job.attemptsStarted, job.progress, job.stacktrace.length]);
    await job.updateProgress(`attempt ${job.attemptsStarted}`);
    if (job.attemptsMade < 2) {
      throw new Error('not yet');
    }
  });
  await paint.add('cars', {}, { attempts: 3 });
  await told(working, 'completed');
  assert.deepEqual(seen, [[0, 1, 0, 0], [1, 2, 'attempt 1', 1], [2, 3, 'attempt 2', 2]]);
});

test('a backoff may be a strategy of the program', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const asked = [];
  const settings = { backoffStrategy: (attempts, type, error) => asked.push([attempts, type, error.message]) && (attempts < 2 ? 5 : -1) };
  const working = worker(async () => Promise.reject(new Error('no')), { settings });
  await paint.add('cars', {}, { attempts: 10, backoff: { type: 'custom' } });
  await told(working, 'failed', 2);
  assert.deepEqual(asked, [[1, 'custom', 'no'], [2, 'custom', 'no']]);
  assert.equal(await paint.getFailedCount(), 1);
});

test('an unrecoverable error fails a job for good', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {
    throw new UnrecoverableError('never');
  });
  const job = await paint.add('cars', {}, { attempts: 5, backoff: 1 });
  const [[, error]] = await told(working, 'failed');
  assert.equal(error.message, 'never');
  assert.equal(await job.getState(), 'failed');
});

test('a worker puts a job off without an attempt', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const steps = [];
  const working = worker(async (job, token) => {
    steps.push(job.data.step);
    if (job.data.step === 'initial') {
      await job.updateData({ step: 'second' });
      await job.moveToDelayed(Date.now() + 50, token);
      throw new DelayedError();
    }
    if (job.data.step === 'second') {
      await job.updateData({ step: 'finish' });
      await job.moveToWait(token);
      throw new WaitingError();
    }
    return job.attemptsMade;
  });
  await paint.add('cars', { step: 'initial' });
  const [[job, attempts]] = await told(working, 'completed');
  assert.deepEqual([steps, attempts, job.attemptsStarted], [['initial', 'second', 'finish'], 0, 3]);
});

test('a paused queue gives nothing out until it is resumed', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  await paint.pause();
  assert.equal(await paint.isPaused(), true);
  let worked = 0;
  const working = worker(async () => (worked += 1));
  await working.waitUntilReady();
  await paint.add('cars', {});
  assert.equal(await paint.getWaitingCount(), 1);
  const done = told(working, 'completed');
  assert.equal(worked, 0);
  await paint.resume();
  await done;
  assert.equal(await paint.isPaused(), false);
});

test('a paused worker finishes what it has and takes no more', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  const working = worker(processor);
  const done = told(working, 'completed');
  await paint.add('first', {});
  const finish = await began(1);
  await paint.add('second', {});
  const paused = working.pause();
  finish();
  await Promise.all([paused, done]);
  assert.deepEqual(await paint.getJobCounts('waiting', 'active', 'completed'), { waiting: 1, active: 0, completed: 1 });
  working.resume();
  (await began(2))();
});

test('a closed worker has finished its jobs, and leaves none behind', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => new Promise(resolve => setTimeout(resolve, 20)), { concurrency: 5 });
  const active = told(working, 'active', 5);
  await paint.addBulk(Array.from({ length: 50 }, () => ({ name: 'cars', data: {} })));
  await active;
  await working.close();
  const { active: left, completed, waiting } = await paint.getJobCounts('active', 'completed', 'waiting');
  assert.equal(left, 0);
  assert.equal(completed + waiting, 50);
});

test('in no interval more jobs start than the limiter of a worker allows', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const limiter = { max: 5, duration: 200 };
  const working = worker(async () => {}, { limiter, concurrency: 10 });
  const done = told(working, 'completed', 20);
  await paint.addBulk(Array.from({ length: 20 }, () => ({ name: 'mail', data: {} })));
  await done;
  // By the server's clock.
  const starts = (await paint.getCompleted()).map(({ processedOn }) => processedOn).sort((one, other) => one - other);
  assert.equal(starts.length, 20);
  for (let at = 5; at < starts.length; at += 1) {
    assert.ok(starts[at] - starts[at - 5] >= 200, `${starts[at] - starts[at - 5]} ms for six starts`);
  }
});

test('the limiter of a worker holds after its queue was obliterated', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {}, { limiter: { max: 2, duration: 60_000 } });
  for (let round = 0; round < 2; round += 1) {
    const done = told(working, 'completed', 2);
    await paint.addBulk([1, 2, 3].map(number => ({ name: `${number}`, data: {} })));
    await done;
    await eventually(async () => (await paint.getRateLimitTtl()) > 50_000);
    assert.deepEqual(await paint.getJobCounts('completed', 'waiting'), { completed: 2, waiting: 1 });
    await paint.obliterate();
  }
});

test('what a worker asks of its queue holds for one that was made anew while it worked', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  worker(processor, { maxStalledCount: 7, stalledInterval: 20 });
  const stalls = async () => (await (await fetch(`${weir.url}/v1/queues/${name}`)).json()).stalls_max;
  await paint.add('cars', {});
  const finish = await began(1);
  assert.equal(await stalls(), 7);
  await paint.obliterate({ force: true });
  await paint.add('cars', {});
  await eventually(async () => (await stalls()) === 7);
  finish();
  (await began(2))();
});

test('a global rate limit and a global concurrency hold for all workers', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  await paint.setGlobalConcurrency(2);
  assert.equal(await paint.getGlobalConcurrency(), 2);
  await paint.addBulk(Array.from({ length: 20 }, () => ({ name: 'mail', data: {} })));
  let running = 0;
  let most = 0;
  const processor = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(resolve => setTimeout(resolve, 3));
    running -= 1;
  };
  const workers = [worker(processor, { concurrency: 5 }), worker(processor, { concurrency: 5 })];
  await eventually(async () => (await paint.getCompletedCount()) === 20);
  assert.equal(most, 2);
  await Promise.all(workers.map(one => one.close()));
  await paint.removeGlobalConcurrency();
  assert.equal(await paint.getGlobalConcurrency(), null);
  await paint.setGlobalRateLimit(1, 60_000);
  assert.deepEqual(await paint.getGlobalRateLimit(), { max: 1, duration: 60_000 });
  const limited = worker(async () => {});
  const once = told(limited, 'completed');
  await paint.addBulk([1, 2].map(() => ({ name: 'mail', data: {} })));
  await once;
  const ttl = await eventually(() => paint.getRateLimitTtl());
  assert.ok(ttl > 50_000 && ttl <= 60_000, `${ttl} ms`);
  assert.equal(await paint.getWaitingCount(), 1);
  assert.ok(name);
});

test('a worker that is told to slow down puts its job back without an attempt', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  let limited = true;
  const working = worker(async job => {
    if (limited) {
      limited = false;
      await paint.rateLimit(200);
      throw new RateLimitError();
    }
    return job.attemptsMade;
  });
  const began = Date.now();
  await paint.add('mail', {});
  const [[job, attempts]] = await told(working, 'completed');
  assert.deepEqual([job.name, attempts], ['mail', 0]);
  assert.ok(Date.now() - began >= 195);
  assert.equal(await paint.isPaused(), false);
});

test('a rate limit can be lifted', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  await paint.rateLimit(60_000);
  assert.ok((await paint.getRateLimitTtl()) > 50_000);
  const working = worker(async () => {});
  const done = told(working, 'completed');
  await paint.add('mail', {});
  await paint.removeRateLimitKey();
  await done;
});

test('a job whose worker is lost is given to another one, and fails after too many', async t => {
  const { queue, classes, name, connection, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const stalled = told(heard, 'stalled');
  const lost = [];
  const lose = async () => {
    // A worker that takes a job and is never heard of again.
    const one = new classes.Worker(name, null, { connection, lockDuration: 100, autorun: false, drainDelay: 5 });
    one.on('error', () => {});
    lost.push(one);
    return eventually(() => one.getNextJob('token'));
  };
  t.after(() => Promise.all(lost.map(one => one.close(true))));
  const job = await paint.add('cars', {});
  assert.equal((await lose()).id, job.id);
  assert.equal((await stalled)[0][0].jobId, job.id);
  const again = await lose();
  assert.deepEqual([again.id, again.stalledCounter], [job.id, 1]);
  const failed = await eventually(async () => (await paint.getFailed())[0]);
  assert.equal(failed.failedReason, 'job stalled more than allowable limit');
});

test('a worker tells of a job that it has got after another one was lost, once', async t => {
  const { queue, classes, name, connection, worker } = world(t, weir);
  const paint = queue();
  const lost = new classes.Worker(name, null, { connection, lockDuration: 100, autorun: false, drainDelay: 5 });
  t.after(() => lost.close(true));
  lost.on('error', () => {});
  const job = await paint.add('cars', {});
  await eventually(() => lost.getNextJob('token'));
  const working = worker(
    async ({ attemptsMade }) => {
      if (attemptsMade === 0) {
        throw new Error('once more');
      }
    },
    { maxStalledCount: 7, stalledInterval: 20 },
  );
  const all = [];
  working.on('stalled', (...stalled) => all.push(stalled));
  await paint.add('cars', {});
  await eventually(() => all.length > 0);
  await eventually(async () => (await job.getState()) === 'failed');
  const done = told(working, 'completed');
  await job.retry('failed');
  await done;
  assert.deepEqual(all, [[job.id, 'active']]);
});

test('the lock of a long job is extended as long as its worker lives', async t => {
  const { queue, worker, errors } = world(t, weir);
  const paint = queue();
  const working = worker(() => new Promise(resolve => setTimeout(resolve, 3_000)), { lockDuration: 2_000 });
  await paint.add('long', {});
  const [[job]] = await told(working, 'completed');
  assert.equal(job.attemptsStarted, 1);
  assert.deepEqual(errors, []);
});

test('jobs are fetched and settled by hand', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const byHand = worker(null, { autorun: false });
  await paint.addBulk(['one', 'two', 'three'].map(name => ({ name, data: {} })));
  const one = await byHand.getNextJob('token');
  assert.equal(one.name, 'one');
  assert.equal(await one.extendLock('token', 60_000), 1);
  assert.equal(await one.extendLock('another token', 60_000), 0);
  await assert.rejects(one.moveToCompleted('done', 'another token'), { code: -6 });
  const [next, nextId] = await one.moveToCompleted('done', 'token');
  assert.equal(next.name, 'two');
  const two = await paint.getJob(nextId);
  assert.equal(await two.isActive(), true);
  await two.moveToFailed(new Error('no'), 'token', false);
  assert.deepEqual(await paint.getJobCounts('completed', 'failed', 'waiting'), { completed: 1, failed: 1, waiting: 1 });
  await assert.rejects(two.moveToCompleted('late', 'token'), { code: -2, message: `Missing lock for job ${two.id}. moveToFinished` });
});

test('a processor may be a file, in a process or a thread of its own', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const file = fileURLToPath(new URL('processor.cjs', import.meta.url));
  for (const useWorkerThreads of [false, true]) {
    const working = worker(file, { useWorkerThreads });
    await paint.add('cars', { color: 'blue' });
    const [[job, result]] = await told(working, 'completed');
    assert.equal(result, 'painted blue');
    const seen = await paint.getJob(job.id);
    assert.deepEqual([seen.progress, (await paint.getJobLogs(job.id)).logs], [100, ['painting']]);
    await working.close();
  }
});

test('a job that runs can be cancelled by its worker', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(
    async (job, token, signal) =>
      new Promise((_, reject) => {
        const stop = () => reject(new UnrecoverableError(`stopped: ${signal.reason}`));
        signal.aborted ? stop() : signal.addEventListener('abort', stop);
      }),
  );
  const failed = told(working, 'failed');
  const job = await paint.add('long', {});
  await eventually(() => working.cancelJob(job.id, 'enough'));
  assert.equal((await failed)[0][1].message, 'stopped: enough');
});

test('a result that is nothing is null, as with Redis', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  worker(async () => undefined);
  const job = await paint.add('cars', {});
  assert.equal(await job.waitUntilFinished(heard), null);
});
