// Adding jobs and looking at them: the examples of BullMQ's guide to queues and jobs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, gated, shared, told, world } from './weir.mjs';

const weir = await shared();

test('a job that is added is worked on and its result is told', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  worker(async job => `painted ${job.data.color}`);
  const job = await paint.add('cars', { color: 'blue' });
  assert.equal(await job.waitUntilFinished(heard), 'painted blue');
  const done = await paint.getJob(job.id);
  assert.deepEqual([done.name, done.data, done.returnvalue, done.attemptsMade], ['cars', { color: 'blue' }, 'painted blue', 1]);
  assert.ok(done.finishedOn >= done.processedOn && done.processedOn >= done.timestamp);
  assert.equal(await done.getState(), 'completed');
});

test('jobs of a bulk are added together and worked on in their order', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const jobs = await paint.addBulk([1, 2, 3].map(number => ({ name: 'paint', data: { number } })));
  assert.equal(new Set(jobs.map(({ id }) => id)).size, 3);
  const seen = [];
  const working = worker(async job => seen.push(job.data.number));
  await told(working, 'completed', 3);
  assert.deepEqual(seen, [1, 2, 3]);
});

test('a refused job does not keep away those that are added at the same time', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  await paint.waitUntilReady();
  const outcomes = await Promise.allSettled([
    paint.add('fine', {}),
    paint.add('child', {}, { parent: { id: 'nobody', queue: paint.qualifiedName } }),
    paint.add('fine too', {}),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
  assert.equal(outcomes[1].reason.code, -5);
  assert.match(outcomes[1].reason.message, /Missing key for parent job bull:.*:nobody\. addJob/);
});

test('a delayed job runs after its delay', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const job = await paint.add('house', {}, { delay: 300 });
  assert.equal(await job.getState(), 'delayed');
  assert.equal((await paint.getJob(job.id)).delay, 300);
  const working = worker(async () => Date.now());
  const [[done, at]] = await told(working, 'completed');
  assert.equal(done.id, job.id);
  assert.ok(at - job.timestamp >= 299, `after ${at - job.timestamp} ms`);
});

test('the delay of a job can be changed, and ended', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  const job = await paint.add('house', {}, { delay: 60_000 });
  await job.changeDelay(120_000);
  const { delay, timestamp } = await paint.getJob(job.id);
  assert.ok(timestamp + delay >= Date.now() + 110_000);
  await job.promote();
  assert.equal(await job.getState(), 'waiting');
  await assert.rejects(job.promote(), { code: -3, message: `Job ${job.id} is not in the delayed state. promote` });
  await assert.rejects(job.changeDelay(1), { code: -3 });
  await Promise.all([1, 2, 3].map(() => paint.add('house', {}, { delay: 60_000 })));
  await paint.promoteJobs();
  assert.equal(await paint.getWaitingCount(), 4);
});

test('jobs run by priority, and those without one first', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  for (const priority of [10, 5, 7, undefined, 5]) {
    await paint.add(`${priority}`, {}, { priority });
  }
  assert.deepEqual(await paint.getCountsPerPriority([0, 1, 5, 7, 10]), { 0: 1, 1: 0, 5: 2, 7: 1, 10: 1 });
  assert.deepEqual(await paint.getJobCounts('waiting', 'prioritized'), { waiting: 1, prioritized: 4 });
  assert.deepEqual((await paint.getPrioritized()).map(({ name }) => name), ['5', '5', '7', '10']);
  const [last] = (await paint.getPrioritized()).slice(-1);
  assert.equal(await last.getState(), 'prioritized');
  await last.changePriority({ priority: 1 });
  const seen = [];
  const working = worker(async job => seen.push(job.name));
  await told(working, 'completed', 5);
  assert.deepEqual(seen, ['undefined', '10', '5', '5', '7']);
});

test('a job with lifo goes before those that wait', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  await paint.add('1', {});
  await paint.add('2', {}, { lifo: true });
  await paint.add('3', {}, { lifo: true });
  const seen = [];
  const working = worker(async job => seen.push(job.name));
  await told(working, 'completed', 3);
  assert.deepEqual(seen, ['3', '2', '1']);
});

test('a job of an id that is there already is not added', async t => {
  const { queue, events } = world(t, weir);
  const paint = queue();
  const one = await paint.add('wall', { color: 'pink' }, { jobId: 'wall-1' });
  const heard = await events();
  const duplicated = told(heard, 'duplicated');
  const other = await paint.add('wall', { color: 'blue' }, { jobId: 'wall-1' });
  assert.deepEqual([one.id, other.id], ['wall-1', 'wall-1']);
  assert.equal((await duplicated)[0][0].jobId, 'wall-1');
  assert.equal(await paint.getWaitingCount(), 1);
  assert.deepEqual((await paint.getJob('wall-1')).data, { color: 'pink' });
});

test('data, progress and log of a job can be changed from outside', async t => {
  const { queue, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const job = await paint.add('cars', { color: 'red' });
  await job.updateData({ color: 'green' });
  const progress = told(heard, 'progress');
  await job.updateProgress({ percent: 42 });
  assert.equal(await job.log('one'), 1);
  assert.equal(await job.log('two'), 2);
  const seen = await paint.getJob(job.id);
  assert.deepEqual([seen.data, seen.progress], [{ color: 'green' }, { percent: 42 }]);
  assert.deepEqual(await paint.getJobLogs(job.id), { logs: ['one', 'two'], count: 2 });
  assert.deepEqual(await paint.getJobLogs(job.id, 1, 1), { logs: ['two'], count: 2 });
  const [[{ jobId, data }]] = await progress;
  assert.deepEqual([jobId, data], [job.id, { percent: 42 }]);
});

test('a log keeps as many lines as it is told to', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  const job = await paint.add('cars', {}, { keepLogs: 2 });
  const counts = [];
  for (const line of ['one', 'two', 'three']) {
    counts.push(await job.log(line));
  }
  assert.deepEqual(counts, [1, 2, 2]);
  assert.deepEqual(await paint.getJobLogs(job.id), { logs: ['two', 'three'], count: 2 });
  await job.clearLogs(1);
  assert.deepEqual((await paint.getJobLogs(job.id)).logs, ['three']);
  await job.clearLogs();
  assert.deepEqual(await paint.getJobLogs(job.id), { logs: [], count: 0 });
});

test('what happens to jobs that are gone by then is told by the ids that were chosen for them', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const completed = told(heard, 'completed', 5);
  worker(async () => {}, { concurrency: 5 });
  const ids = [1, 2, 3, 4, 5].map(number => `car-${number}`);
  await Promise.all(ids.map(jobId => paint.add('cars', {}, { jobId, removeOnComplete: true })));
  assert.deepEqual((await completed).map(([{ jobId }]) => jobId).sort(), ids);
});

test('what is done to a job that is not there is refused in the words of BullMQ', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  const job = await paint.add('cars', {});
  await job.remove();
  assert.equal(await paint.getJob(job.id), undefined);
  assert.equal(await job.getState(), 'unknown');
  for (const [act, command] of [
    [() => job.updateData({}), 'updateData'],
    [() => job.updateProgress(1), 'updateProgress'],
    [() => job.log('x'), 'addLog'],
    [() => job.changePriority({ priority: 1 }), 'changePriority'],
    [() => job.retry(), 'reprocessJob'],
  ]) {
    await assert.rejects(act(), { code: -1, message: `Missing key for job ${job.id}. ${command}` });
  }
});

test('the getters tell jobs of each state, in the order and the range that was asked for', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  await paint.addBulk(['a', 'b', 'c', 'd'].map(name => ({ name, data: {} })));
  const names = async jobs => (await jobs).map(({ name }) => name);
  assert.deepEqual(await names(paint.getWaiting()), ['a', 'b', 'c', 'd']);
  assert.deepEqual(await names(paint.getWaiting(1, 2)), ['b', 'c']);
  assert.deepEqual(await names(paint.getJobs(['waiting'], 0, 1, false)), ['d', 'c']);
  assert.deepEqual(await names(paint.getJobs(['waiting'], 0, -1, false)), ['d', 'c', 'b', 'a']);
  const working = worker(async job => {
    if (job.name === 'c') {
      throw new Error('no paint');
    }
  });
  await Promise.all([told(working, 'completed', 3), told(working, 'failed')]);
  assert.deepEqual(await names(paint.getCompleted()), ['d', 'b', 'a']);
  assert.deepEqual(await names(paint.getJobs(['completed'], 0, 1, true)), ['a', 'b']);
  assert.deepEqual(await names(paint.getFailed()), ['c']);
  assert.deepEqual(await paint.getJobCounts('completed', 'failed', 'waiting', 'active', 'delayed'), {
    completed: 3, failed: 1, waiting: 0, active: 0, delayed: 0,
  });
  const [failed] = await paint.getFailed();
  assert.equal(failed.failedReason, 'no paint');
  assert.match(failed.stacktrace[0], /^Error: no paint\n/);
});

test('finished jobs are removed as the job or its worker says', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async job => assert.ok(!job.data.fails), { removeOnComplete: { count: 2 }, removeOnFail: { count: 0 } });
  await paint.addBulk([1, 2, 3, 4].map(number => ({ name: `${number}`, data: {} })));
  await told(working, 'completed', 4);
  await eventually(async () => (await paint.getCompletedCount()) === 2);
  assert.deepEqual((await paint.getCompleted()).map(({ name }) => name), ['4', '3']);
  const gone = await paint.add('gone', {}, { removeOnComplete: true });
  await told(working, 'completed');
  assert.equal(await gone.getState(), 'unknown');
  const failed = await paint.add('failed', { fails: true });
  await told(working, 'failed');
  assert.equal(await failed.getState(), 'unknown');
});

test('deduplication keeps a second job away until the first has finished', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const deduplicated = told(heard, 'deduplicated');
  const one = await paint.add('house', { nth: 1 }, { deduplication: { id: 'customer' } });
  const two = await paint.add('house', { nth: 2 }, { deduplication: { id: 'customer' } });
  assert.equal(two.id, one.id);
  const { jobId, deduplicationId, deduplicatedJobId } = (await deduplicated)[0][0];
  assert.deepEqual([jobId, deduplicationId, deduplicatedJobId], [one.id, 'customer', one.id]);
  const named = told(heard, 'deduplicated');
  await paint.add('house', {}, { jobId: 'third', deduplication: { id: 'customer' } });
  assert.deepEqual((await named)[0][0].deduplicatedJobId, 'third');
  assert.equal(await paint.getWaitingCount(), 1);
  const working = worker(async () => {});
  await told(working, 'completed');
  const three = await paint.add('house', { nth: 3 }, { deduplication: { id: 'customer' } });
  assert.notEqual(three.id, one.id);
});

test('a deduplication id tells its job, and can be made free', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  assert.equal(await paint.getDeduplicationJobId('customer'), null);
  const options = { deduplication: { id: 'customer' } };
  const one = await paint.add('house', {}, { ...options, jobId: 'first' });
  assert.equal(await paint.getDeduplicationJobId('customer'), 'first');
  assert.equal(await one.removeDeduplicationKey(), true);
  assert.equal(await one.removeDeduplicationKey(), false);
  const two = await paint.add('house', {}, options);
  assert.notEqual(two.id, 'first');
  assert.equal(await one.removeDeduplicationKey(), false);
  assert.equal(await paint.removeDeduplicationKey('customer'), 1);
  assert.equal(await paint.removeDeduplicationKey('customer'), 0);
});

test('throttling keeps jobs away for a time, debouncing takes the last', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {});
  const one = await paint.add('house', {}, { deduplication: { id: 'throttled', ttl: 60_000 } });
  await told(working, 'completed');
  assert.equal((await paint.add('house', {}, { deduplication: { id: 'throttled', ttl: 60_000 } })).id, one.id);
  const options = { deduplication: { id: 'debounced', ttl: 60_000, extend: true, replace: true }, delay: 60_000 };
  await paint.add('first', { nth: 1 }, options);
  const last = await paint.add('second', { nth: 2 }, options);
  const [job, ...more] = await paint.getDelayed();
  assert.deepEqual([job.id, job.name, job.data, more.length], [last.id, 'second', { nth: 2 }, 0]);
});

test('a duplicate can move the time of a job that is delayed, and nothing else of it', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  const options = { deduplication: { id: 'moved', reschedule: true }, delay: 60_000 };
  const one = await paint.add('first', { nth: 1 }, options);
  const two = await paint.add('second', { nth: 2 }, { ...options, delay: 3_600_000 });
  assert.equal(two.id, one.id);
  const [job] = await paint.getDelayed();
  assert.deepEqual([job.id, job.name, job.data], [one.id, 'first', { nth: 1 }]);
  assert.ok(job.delay > 3_000_000, `${job.delay}`);
  await paint.add('third', { nth: 3 }, { deduplication: options.deduplication });
  assert.deepEqual((await paint.getWaiting()).map(({ id, data }) => [id, data]), [[one.id, { nth: 1 }]]);
});

test('jobs are drained, cleaned and obliterated', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const cleaned = told(heard, 'cleaned', 2);
  await paint.add('waits', {});
  await paint.add('has priority', {}, { priority: 3 });
  await paint.add('delayed', {}, { delay: 60_000 });
  await paint.drain();
  assert.deepEqual(await paint.getJobCounts('waiting', 'prioritized', 'delayed'), { waiting: 0, prioritized: 0, delayed: 1 });
  await paint.drain(true);
  assert.equal(await paint.getDelayedCount(), 0);
  const working = worker(async () => {});
  const jobs = await paint.addBulk([1, 2, 3].map(number => ({ name: `${number}`, data: {} })));
  await told(working, 'completed', 3);
  await working.close();
  assert.deepEqual(await paint.clean(60_000, 10, 'completed'), []);
  assert.deepEqual(await paint.clean(0, 2, 'completed'), jobs.slice(0, 2).map(({ id }) => id));
  assert.equal(await paint.getCompletedCount(), 1);
  assert.deepEqual((await cleaned).map(([{ count }]) => count), ['0', '2']);
  await paint.add('waits', {});
  await paint.obliterate();
  assert.equal((await paint.getJobs()).length, 0);
  assert.equal(await paint.isPaused(), false);
});

test('a queue that is worked on is obliterated only by force', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  worker(processor);
  await paint.add('busy', {});
  const finish = await began(1);
  await assert.rejects(paint.obliterate(), { message: 'Cannot obliterate queue with active jobs' });
  await paint.obliterate({ force: true });
  assert.equal(await paint.getActiveCount(), 0);
  finish();
});

test('failed and completed jobs can be tried again, one or all', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  let broken = true;
  const working = worker(async () => {
    if (broken) {
      throw new Error('broken');
    }
    return 'mended';
  });
  await paint.addBulk([1, 2, 3].map(number => ({ name: `${number}`, data: {} })));
  await told(working, 'failed', 3);
  broken = false;
  const [job] = await paint.getFailed();
  const once = told(working, 'completed');
  await job.retry();
  await once;
  assert.equal(await job.getState(), 'completed');
  assert.equal((await paint.getJob(job.id)).attemptsMade, 2);
  await assert.rejects(job.retry(), { code: -3, message: `Job ${job.id} is not in the failed state. reprocessJob` });
  const others = told(working, 'completed', 2);
  await paint.retryJobs();
  await others;
  assert.equal(await paint.getFailedCount(), 0);
  const again = told(working, 'completed', 3);
  await paint.retryJobs({ state: 'completed' });
  await again;
});

test('the starts of a job that is tried again are counted anew where that is asked for', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async job => job.attemptsStarted);
  const [job] = await Promise.all([paint.add('cars', {}), told(working, 'completed')]);
  for (const [options, started] of [[{}, 2], [{ resetAttemptsStarted: true, resetAttemptsMade: true }, 1]]) {
    const again = told(working, 'completed');
    await job.retry('completed', options);
    const [[done, result]] = await again;
    assert.deepEqual([result, done.attemptsStarted], [started, started]);
    assert.equal((await paint.getJob(job.id)).attemptsStarted, started);
  }
});

test('a job that is worked on cannot be removed', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  const working = worker(processor);
  const job = await paint.add('cars', {});
  const finish = await began(1);
  await assert.rejects(job.remove(), /could not be removed because it is locked by another worker/);
  const done = told(working, 'completed');
  finish();
  await done;
});

test('a program tells its own events to those who watch', async t => {
  const { queue, events, classes, connection, name } = world(t, weir);
  queue();
  const heard = await events();
  const told1 = told(heard, 'sale');
  const producer = new classes.QueueEventsProducer(name, { connection });
  await producer.publishEvent({ eventName: 'sale', item: 'car', price: 7 });
  const [[fields, id]] = await told1;
  assert.deepEqual(fields, { item: 'car', price: '7' });
  assert.ok(id);
  await producer.close();
});

test('who watches is told that a queue is paused and goes on', async t => {
  const { queue, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const paused = told(heard, 'paused');
  await paint.pause();
  await paused;
  const resumed = told(heard, 'resumed');
  await paint.resume();
  await resumed;
  const said = [];
  heard.on('paused', () => said.push('paused'));
  heard.on('resumed', () => said.push('resumed'));
  await paint.rateLimit(60_000);
  await paint.removeRateLimitKey();
  const waiting = told(heard, 'waiting');
  await paint.add('cars', {});
  await waiting;
  assert.deepEqual(said, [], 'a rate limit is no pause');
});

test('jobs are counted by priority', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  await paint.addBulk([3, 0, 3, 100, 7].map(priority => ({ name: 'cars', data: {}, opts: { priority } })));
  assert.deepEqual(await paint.getCountsPerPriority([0, 1, 3, 7, 100]), { 0: 1, 1: 0, 3: 2, 7: 1, 100: 1 });
  assert.deepEqual(await paint.getJobCounts('wait', 'prioritized'), { wait: 1, prioritized: 4 });
  // More different ones than the server counts.
  await paint.addBulk(Array.from({ length: 70 }, (_, at) => ({ name: 'cars', data: {}, opts: { priority: 1_000 + at } })));
  assert.deepEqual(await paint.getCountsPerPriority([0, 3, 1_069]), { 0: 1, 3: 2, 1_069: 1 });
  assert.deepEqual(await paint.getJobCounts('wait', 'prioritized'), { wait: 1, prioritized: 74 });
});

test('metadata that programs change at the same moment is all there', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  await Promise.all([paint.setGlobalConcurrency(3), paint.setGlobalRateLimit(10, 1_000)]);
  assert.equal(await paint.getGlobalConcurrency(), 3);
  assert.deepEqual(await paint.getGlobalRateLimit(), { max: 10, duration: 1_000 });
  const limiter = await (await fetch(`${weir.url}/v1/limiters/bullmq%3A${paint.name}`)).json();
  const { windows, concurrency } = limiter.limiter.terms;
  assert.deepEqual([windows.map(({ max, per_ms }) => [max, per_ms]), concurrency], [[[10, 1_000]], 3]);
});
