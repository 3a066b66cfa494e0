// Examples of BullMQ's guide and of its patterns that the other files do not have; docs/bullmq.md says which page is where.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Job, RateLimitError, UnrecoverableError, WaitingChildrenError } from 'bullmq';
import { eventually, gated, shared, told, world } from './weir.mjs';

const weir = await shared();

test('options of a queue hold for jobs that name none', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue({ defaultJobOptions: { attempts: 3, backoff: { type: 'fixed', delay: 5 } } });
  const working = worker(async () => Promise.reject(new Error('no')));
  const failures = told(working, 'failed', 4);
  const three = await paint.add('three times', {});
  const once = await paint.add('once', {}, { attempts: 1 });
  await failures;
  await eventually(async () => (await paint.getFailedCount()) === 2);
  const attempts = await Promise.all([three, once].map(async ({ id }) => (await paint.getJob(id)).attemptsMade));
  assert.deepEqual(attempts, [3, 1]);
});

test('finished jobs are removed once they are as old as they may be', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {});
  const done = told(working, 'completed');
  const job = await paint.add('cars', {}, { removeOnComplete: { age: 1, count: 100 } });
  await done;
  await eventually(async () => (await job.getState()) === 'unknown');
});

test('a job may be made and found by its class, and a queue tells what is added to it', async t => {
  const { queue } = world(t, weir);
  const paint = queue();
  const waiting = told(paint, 'waiting');
  const added = await paint.add('wall', { color: 'red' });
  assert.equal((await waiting)[0][0].id, added.id);
  const job = await Job.create(paint, 'wall', { color: 'red' });
  await job.updateData({ color: 'blue' });
  assert.deepEqual((await Job.fromId(paint, job.id)).data, { color: 'blue' });
});

test('queue events tell the life of a job, from whatever process', async t => {
  const { queue, worker, events } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const seen = [];
  for (const event of ['added', 'waiting', 'delayed', 'active', 'progress', 'completed', 'failed', 'removed']) {
    heard.on(event, ({ jobId }) => seen.push(`${event} ${jobId}`));
  }
  const working = worker(async job => {
    await job.updateProgress(50);
    assert.ok(!job.data.fails);
  });
  const both = Promise.all([told(working, 'completed'), told(working, 'failed')]);
  await paint.add('good', {}, { jobId: 'good' });
  await paint.add('bad', { fails: true }, { jobId: 'bad' });
  const late = await paint.add('late', {}, { jobId: 'late', delay: 60_000 });
  await both;
  await late.remove();
  const of = id => seen.filter(event => event.endsWith(` ${id}`)).map(event => event.split(' ')[0]);
  await eventually(() => of('late').includes('removed') && of('good').includes('completed') && of('bad').includes('failed'));
  assert.deepEqual(of('good'), ['added', 'waiting', 'active', 'progress', 'completed']);
  assert.deepEqual(of('bad'), ['added', 'waiting', 'active', 'progress', 'failed']);
  assert.deepEqual(of('late'), ['added', 'delayed', 'removed']);
});

test('ten jobs that are debounced become one, with the data of the last', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {});
  const done = told(working, 'completed');
  const options = { deduplication: { id: 'customValue', ttl: 2_000, extend: true, replace: true }, delay: 2_000 };
  for (let nth = 1; nth <= 10; nth += 1) {
    await paint.add('house', { color: `white ${nth}` }, options);
  }
  assert.deepEqual((await done)[0][0].data, { color: 'white 10' });
  assert.deepEqual(await paint.getJobCounts('completed', 'delayed', 'waiting'), { completed: 1, delayed: 0, waiting: 0 });
});

test('of jobs that come while another of their deduplication id runs, the last one runs after it', async t => {
  const { queue, worker, events } = world(t, weir);
  const deploy = queue();
  const heard = await events();
  const deduplicated = told(heard, 'deduplicated', 3);
  const { processor, began } = gated();
  const commits = [];
  const working = worker(job => {
    commits.push(job.data.commit);
    return processor();
  });
  const push = commit => deploy.add('deploy', { commit }, { deduplication: { id: 'deploy-weir', keepLastIfActive: true } });
  const done = told(working, 'completed', 2);
  const first = await push('one');
  const finish = await began(1);
  for (const commit of ['two', 'three', 'four']) {
    await push(commit);
  }
  assert.deepEqual((await deduplicated).map(([{ jobId }]) => jobId), Array(3).fill(first.id));
  finish();
  (await began(2))();
  await done;
  assert.deepEqual(commits, ['one', 'four']);
});

test('the concurrency of a worker can be changed while it runs', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  const working = worker(processor, { concurrency: 1 });
  const done = told(working, 'completed', 4);
  await paint.addBulk([1, 2, 3, 4].map(number => ({ name: `${number}`, data: {} })));
  const first = await began(1);
  working.concurrency = 3;
  first();
  const others = await Promise.all([2, 3, 4].map(began));
  others.forEach(finish => finish());
  await done;
});

test('all jobs of a worker can be cancelled, and are tried again where they may be', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const signals = [];
  const working = worker(
    (job, token, signal) =>
      job.attemptsMade > 0 ||
      new Promise((_, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(new Error(`cancelled: ${signal.reason}`)));
      }),
    { concurrency: 2 },
  );
  const failed = told(working, 'failed', 2);
  const completed = told(working, 'completed', 2);
  await paint.addBulk([1, 2].map(number => ({ name: `${number}`, data: {}, opts: { attempts: 2 } })));
  await eventually(() => signals.length === 2);
  working.cancelAllJobs('shutdown');
  assert.deepEqual((await failed).map(([, { message }]) => message), Array(2).fill('cancelled: shutdown'));
  await completed;
});

test('a job that a foreign limit keeps back fails once it was tried as often as it may be', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  let starts = 0;
  const working = worker(async job => {
    starts += 1;
    await working.rateLimit(10);
    if (job.attemptsStarted > job.opts.attempts) {
      throw new UnrecoverableError('limited too often');
    }
    throw new RateLimitError();
  });
  const failed = told(working, 'failed');
  await paint.add('call', {}, { attempts: 3 });
  assert.equal((await failed)[0][1].message, 'limited too often');
  assert.equal(starts, 4);
});

test('a job that takes too long is aborted by its processor', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async job => {
    const signal = AbortSignal.timeout(job.data.timeout);
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new UnrecoverableError('Timeout'))));
  });
  const failed = told(working, 'failed');
  const job = await paint.add('slow', { timeout: 10 }, { attempts: 3 });
  assert.equal((await failed)[0][1].message, 'Timeout');
  assert.equal(await job.getState(), 'failed');
});

test('a processor in a process of its own may end it, and its job fails', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(fileURLToPath(new URL('late-processor.cjs', import.meta.url)), {});
  const failed = told(working, 'failed');
  const late = await paint.add('late', { timeout: 10, takes: 60_000 });
  assert.match((await failed)[0][1].message, /Unexpected exit code: 10/);
  assert.deepEqual((await paint.getJob(late.id)).progress, { cleaned: true });
  const done = told(working, 'completed');
  await paint.add('quick', { timeout: 60_000, takes: 1 });
  assert.equal((await done)[0][1], 'in time');
});

test('a step of a job adds a flow and waits for it', async t => {
  const { queue, worker, flows, name } = world(t, weir);
  const producer = flows();
  const [children, grandchildren] = [`${name}-children`, `${name}-grandchildren`];
  worker(async job => job.data.idx, {}, grandchildren);
  worker(async job => Object.values(await job.getChildrenValues()).sort(), {}, children);
  const steps = [];
  const parent = worker(async (job, token) => {
    steps.push(job.data.step);
    if (job.data.step === 'initial') {
      await producer.add({
        name: 'child-job',
        queueName: children,
        data: {},
        children: [0, 1].map(idx => ({ name: 'grandchild', data: { idx }, queueName: grandchildren })),
        opts: { parent: { id: job.id, queue: job.queueQualifiedName } },
      });
      await job.updateData({ step: 'second' });
    }
    if (await job.moveToWaitingChildren(token)) {
      throw new WaitingChildrenError();
    }
    return Object.values(await job.getChildrenValues());
  });
  const done = told(parent, 'completed');
  await queue().add('parent', { step: 'initial' });
  assert.deepEqual((await done)[0][1], [[0, 1]]);
  assert.deepEqual(steps, ['initial', 'second']);
});

test('actions with a queue each are tried again one by one', async t => {
  const { queue, worker, name } = world(t, weir);
  const [first, second] = [queue({}, `${name}-1`), queue({}, `${name}-2`)];
  const runs = [];
  worker(async job => {
    runs.push('charge');
    await second.add('enrol', job.data, { attempts: 2 });
  }, {}, `${name}-1`);
  const last = worker(async job => {
    runs.push('enrol');
    assert.ok(job.attemptsMade > 0, 'fails once');
  }, {}, `${name}-2`);
  const done = told(last, 'completed');
  await first.add('charge', {});
  await done;
  assert.deepEqual(runs, ['charge', 'enrol', 'enrol']);
});

test('a tree of a flow is read as deep and as wide as it is asked for', async t => {
  const { flows, name } = world(t, weir);
  const producer = flows();
  const child = (idx, children) => ({ name: 'child', data: { idx }, queueName: name, children });
  const { job } = await producer.add({ name: 'root', queueName: name, data: {}, children: [child(0, [child(4)]), child(2), child(3)] });
  const whole = await producer.getFlow({ id: job.id, queueName: name });
  assert.deepEqual(whole.children.map(({ job: { data } }) => data.idx).sort(), [0, 2, 3]);
  const part = await producer.getFlow({ id: job.id, queueName: name, depth: 2, maxChildren: 2 });
  assert.equal(part.children.length, 2);
  assert.ok(part.children.every(({ children }) => children === undefined || children.length === 0));
});

test('a job that is retried by hand may have all its attempts again', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  const working = worker(async () => Promise.reject(new Error('no')));
  let failures = told(working, 'failed', 2);
  const { id } = await paint.add('cars', {}, { attempts: 2 });
  await failures;
  failures = told(working, 'failed', 2);
  const job = await eventually(async () => (await paint.getFailed())[0]);
  await job.retry('failed', { resetAttemptsMade: true });
  await failures;
  await eventually(async () => (await paint.getFailedCount()) === 1);
  assert.equal((await paint.getJob(id)).attemptsMade, 2);
});

test('a scheduler may begin at once, end by a date, and follow a strategy of the program', async t => {
  const { queue, worker } = world(t, weir);
  const strategy = { repeatStrategy: (millis, options) => millis + Number(options.pattern.split('=')[1]) };
  const repeat = queue({ settings: strategy });
  const working = worker(async job => job.name, { settings: strategy });
  const own = told(working, 'completed', 3);
  await repeat.upsertJobScheduler('own', { pattern: 'MS=50' }, { name: 'own' });
  assert.deepEqual((await own).map(([, result]) => result), ['own', 'own', 'own']);
  await repeat.removeJobScheduler('own');
  const completed = async name => (await repeat.getCompleted()).filter(job => job.name === name);
  await repeat.upsertJobScheduler('daily', { every: 86_400_000 }, { name: 'daily' });
  await eventually(async () => (await completed('daily')).length === 1);
  await repeat.removeJobScheduler('daily');
  await assert.rejects(repeat.upsertJobScheduler('over', { every: 50, endDate: Date.now() - 1 }), /End date/);
  const endDate = Date.now() + 1_000;
  await repeat.upsertJobScheduler('ends', { every: 400, endDate }, { name: 'ends' });
  await eventually(async () => (await completed('ends')).length >= 2 && (await repeat.getDelayedCount()) === 0);
  const times = (await completed('ends')).map(({ id }) => Number(id.split(':')[2]));
  assert.ok(Math.max(...times) <= endDate + 400, `${times} and ${endDate}`);
});

test('a scheduler adds jobs that are deduplicated', async t => {
  const { queue, worker } = world(t, weir);
  const repeat = queue();
  const houses = [];
  const working = worker(async job => {
    if (job.name === 'house') {
      houses.push(job.id);
    } else {
      await repeat.add('house', {}, { deduplication: { id: 'house', ttl: 60_000 } });
    }
  });
  const done = told(working, 'completed', 4);
  await repeat.upsertJobScheduler('repeat', { every: 50 });
  await done;
  await repeat.removeJobScheduler('repeat');
  assert.equal(houses.length, 1);
});
