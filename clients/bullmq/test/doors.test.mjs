// What the package is to a program: its modules, its names, and the same jobs through Weir's other doors.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Queue, Worker, setDefaultBackendFactory } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';
import { Weir, shared, told, world } from './weir.mjs';

const weir = await shared();

const ask = async (method, path, body) => {
  const answer = await fetch(`${weir.url}/v1${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return answer.json();
};

test('the backend can be the default of the process, and its address come from the environment', async t => {
  process.env.WEIR_URL = weir.url;
  setDefaultBackendFactory(createWeirBackend);
  t.after(() => setDefaultBackendFactory(undefined));
  // As a program has it that used Redis until now.
  const connection = { host: 'localhost', port: 6379 };
  const queue = new Queue('default', { connection });
  const worker = new Worker('default', async () => 'done', { connection });
  t.after(async () => {
    await worker.close();
    await queue.close();
  });
  const done = told(worker, 'completed');
  await queue.add('one', {});
  assert.equal((await done)[0][1], 'done');
});

test('the package can be required', () => {
  const { createWeirBackend: factory, WeirError } = createRequire(import.meta.url)('weir-bullmq');
  assert.equal(typeof factory, 'function');
  assert.equal(typeof WeirError, 'function');
});

test('a job of BullMQ is seen and worked on through the native API', async t => {
  const { queue, events, name } = world(t, weir);
  const paint = queue();
  const heard = await events();
  const job = await paint.add('cars', { color: 'blue' }, { jobId: 'car-1', attempts: 2 });
  const seen = await ask('GET', `/queues/${name}/jobs/car-1`);
  assert.deepEqual([seen.name, seen.data, seen.state, seen.retry.attempts_max], ['cars', { color: 'blue' }, 'ready', 2]);
  const { jobs: [leased] } = await ask('POST', `/queues/${name}/lease`, { max: 1 });
  await ask('POST', `/queues/${name}/settle`, { settle: [{ lease: leased.lease, result: { painted: true } }] });
  assert.deepEqual(await job.waitUntilFinished(heard), { painted: true });
});

test('a job of the native API is worked on by a worker of BullMQ', async t => {
  const { queue, worker, name } = world(t, weir);
  await queue().waitUntilReady();
  const working = worker(async job => ({ ...job.data, by: 'BullMQ' }));
  const done = told(working, 'completed');
  const { jobs: [{ id }] } = await ask('POST', `/queues/${name}/jobs`, { name: 'cars', data: { color: 'red' }, priority: 3 });
  const [[job]] = await done;
  assert.deepEqual([job.id, job.name, job.priority], [id, 'cars', 3]);
  assert.deepEqual((await ask('GET', `/queues/${name}/jobs/${id}`)).result, { color: 'red', by: 'BullMQ' });
});

test('a message that is sent over SQS arrives at a worker of BullMQ', async t => {
  const { queue, worker, name } = world(t, weir);
  await queue().waitUntilReady();
  const send = body =>
    fetch(weir.url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' },
      body: JSON.stringify({ QueueUrl: `${weir.url}/000000000000/${name}`, MessageBody: body }),
    });
  const working = worker(async job => job.data);
  const done = told(working, 'completed', 2);
  assert.equal((await send('{"color":"blue"}')).status, 200);
  assert.equal((await send('just text')).status, 200);
  const jobs = await done;
  assert.deepEqual(jobs.map(([job, data]) => [job.name, data]), [['__default__', { color: 'blue' }], ['__default__', 'just text']]);
});

test('a job of another door is tried again as its queue says', async t => {
  const { queue, worker, name } = world(t, weir);
  await queue().waitUntilReady();
  await ask('PATCH', `/queues/${name}`, { retry: { attempts_max: 3, backoff: { fixed_ms: 1 } } });
  const working = worker(async job => {
    if (job.attemptsMade < 2) {
      throw new Error('not yet');
    }
  });
  const done = told(working, 'completed');
  await ask('POST', `/queues/${name}/jobs`, { data: 1 });
  assert.equal((await done)[0][0].attemptsStarted, 3);
});

test('another prefix is another queue', async t => {
  const { queue, name } = world(t, weir);
  const [one, other] = [queue(), queue({ prefix: 'other' })];
  await one.add('a', {});
  await other.add('b', {});
  assert.deepEqual((await one.getWaiting()).map(job => job.name), ['a']);
  assert.deepEqual((await ask('GET', `/queues/${encodeURIComponent(`other:${name}`)}/jobs`)).jobs.map(job => job.name), ['b']);
});

test('metadata of a queue is kept with it', async t => {
  const { queue, name } = world(t, weir);
  const paint = queue();
  assert.match(await paint.getVersion(), /^bullmq:6\.7\./);
  const { maxLenEvents, paused } = await paint.getMeta();
  assert.deepEqual([maxLenEvents, paused], [10_000, false]);
  assert.ok('bullmq.version' in (await ask('GET', `/queues/${name}`)).tags);
});

test('requests are signed for a server with access keys', async t => {
  const guarded = await Weir.start('[[keys]]\nid = "worker"\nsecret = "a secret of 16 letters"\nrole = "admin"\n');
  const key = { accessKeyId: 'worker', secretAccessKey: 'a secret of 16 letters' };
  const { queue, worker, events, name } = world(t, guarded, key);
  const stranger = world(t, guarded, { ...key, secretAccessKey: 'another secret of it' });
  t.after(() => guarded.stop());
  const paint = queue({ prefix: 'an other' });
  const heard = await events();
  await assert.rejects(stranger.queue().add('cars', {}), { name: 'WeirError', code: 'access.denied', status: 403 });
  const job = await paint.add('cars', { color: 'blue' }, { jobId: "it's (a) job/1!", delay: 60_000 });
  assert.equal((await paint.getJob(job.id)).data.color, 'blue');
  assert.deepEqual((await paint.getDelayed()).map(({ id }) => id), [job.id]);
  worker(async () => 'done');
  assert.equal(await (await queue().add('cars', {})).waitUntilFinished(heard), 'done');
  assert.ok(name);
});
