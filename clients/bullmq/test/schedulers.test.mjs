// Job schedulers: the examples of BullMQ's guide.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Place } from '../dist/esm/place.js';
import { Schedulers } from '../dist/esm/schedulers.js';
import { Server } from '../dist/esm/server.js';
import { eventually, shared, told, world } from './weir.mjs';

const weir = await shared();

test('a scheduler adds a job at each interval', async t => {
  const { queue, worker } = world(t, weir);
  const repeat = queue();
  const first = await repeat.upsertJobScheduler('every', { every: 50 }, { name: 'tick', data: { a: 1 }, opts: { priority: 1 } });
  assert.equal(first.name, 'tick');
  const times = [];
  const working = worker(async job => {
    times.push(Number(job.id.split(':')[2]));
    return job.data;
  });
  const done = await told(working, 'completed', 4);
  assert.deepEqual(done.map(([, data]) => data), Array(4).fill({ a: 1 }));
  times.slice(1).forEach((time, at) => assert.equal((time - times[at]) % 50, 0));
  assert.equal(new Set(times).size, times.length);
  const scheduler = await repeat.getJobScheduler('every');
  assert.equal(scheduler.every, 50);
  assert.ok(scheduler.iterationCount >= 4);
  assert.deepEqual(scheduler.template, { data: { a: 1 }, opts: { priority: 1 } });
  assert.equal(await repeat.removeJobScheduler('every'), true);
  assert.equal(await repeat.removeJobScheduler('every'), false);
  assert.equal(await repeat.getJobScheduler('every'), undefined);
});

test('a scheduler that is removed while its job begins stays removed', async t => {
  const { queue } = world(t, weir);
  const repeat = queue();
  await repeat.upsertJobScheduler('gone', { every: 60_000 }, { name: 'tick' });
  const [job] = await repeat.getJobs(['waiting', 'delayed']);
  const server = Server.of({ url: weir.url });
  const schedulers = new Schedulers(server, new Place('bull', repeat.name));
  const added = await schedulers.advance('gone', Date.now() + 60_000, {}, job.id, async next => {
    assert.equal(await repeat.removeJobScheduler('gone'), true);
    const { jobs } = await server.ask('POST', `/v1/queues/${repeat.name}/jobs`, next);
    return jobs[0];
  });
  assert.equal(added, null);
  assert.equal(await repeat.getJobScheduler('gone'), undefined);
  assert.equal(await repeat.getDelayedCount(), 0);
  await server.leave(false);
});

test('a scheduler follows a cron pattern in a time zone', async t => {
  const { queue } = world(t, weir);
  const repeat = queue();
  await repeat.upsertJobScheduler('cron', { pattern: '0 15 3 * * *', tz: 'America/New_York' }, { name: 'nightly' });
  const { next, pattern, tz, name } = await repeat.getJobScheduler('cron');
  assert.deepEqual([pattern, tz, name], ['0 15 3 * * *', 'America/New_York', 'nightly']);
  const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', timeStyle: 'medium' }).format(next);
  assert.equal(local, '03:15:00');
  const [job] = await repeat.getDelayed();
  assert.deepEqual([job.id, job.name, job.repeatJobKey], [`repeat:cron:${next}`, 'nightly', 'cron']);
});

test('a scheduler runs every second of a cron pattern, and no more often than its limit', async t => {
  const { queue, worker } = world(t, weir);
  const repeat = queue();
  await repeat.upsertJobScheduler('limited', { pattern: '* * * * * *', limit: 2 }, { name: 'tick' });
  const working = worker(async () => {});
  const [[one], [two]] = await told(working, 'completed', 2);
  const [before, after] = [one, two].map(({ id }) => Number(id.split(':')[2]));
  assert.equal(after - before, 1_000);
  assert.equal(await repeat.getDelayedCount(), 0);
});

test('a scheduler that is changed has one next job', async t => {
  const { queue } = world(t, weir);
  const repeat = queue();
  for (const every of [60_000, 60_000, 120_000]) {
    await repeat.upsertJobScheduler('changed', { every, startDate: Date.now() + 60_000 }, { name: `every ${every}` });
  }
  const jobs = await repeat.getDelayed();
  assert.deepEqual(jobs.map(({ name }) => name), ['every 120000']);
  assert.equal(await repeat.getJobSchedulersCount(), 1);
});

test('schedulers are listed by their next time', async t => {
  const { queue } = world(t, weir);
  const repeat = queue();
  for (const [id, minutes] of [['late', 3], ['early', 1], ['between', 2]]) {
    await repeat.upsertJobScheduler(id, { every: 3_600_000, startDate: Date.now() + minutes * 60_000 });
  }
  const ids = async (...range) => (await repeat.getJobSchedulers(...range)).map(({ key }) => key);
  assert.deepEqual(await ids(0, -1, true), ['early', 'between', 'late']);
  assert.deepEqual(await ids(0, 0, false), ['late']);
});

test('the next job of a scheduler cannot be removed by itself, drained or cleaned', async t => {
  const { queue } = world(t, weir);
  const repeat = queue();
  const job = await repeat.upsertJobScheduler('kept', { every: 3_600_000, startDate: Date.now() + 60_000 });
  await repeat.add('other', {}, { delay: 60_000 });
  await assert.rejects(job.remove(), { code: -8 });
  await repeat.drain(true);
  assert.deepEqual((await repeat.getDelayed()).map(({ id }) => id), [job.id]);
  assert.deepEqual(await repeat.clean(0, 10, 'delayed'), []);
  await repeat.removeJobScheduler('kept');
  assert.equal(await repeat.getDelayedCount(), 0);
});

test('many programs that start at once and name the same scheduler make one', async t => {
  const { queue } = world(t, weir);
  const queues = Array.from({ length: 5 }, () => queue());
  const startDate = Date.now() + 60_000;
  await Promise.all(queues.map(one => one.upsertJobScheduler('shared', { every: 3_600_000, startDate })));
  await eventually(async () => (await queues[0].getDelayedCount()) === 1);
  assert.equal(await queues[0].getJobSchedulersCount(), 1);
});

test('a scheduler goes on where its record is behind the iteration that begins', async t => {
  const { queue, worker, name } = world(t, weir);
  const repeat = queue();
  const job = await repeat.upsertJobScheduler('late', { every: 200, startDate: Date.now() + 200 });
  const [at] = job.id.split(':').slice(-1);
  // As if who added this iteration had written the record before it, or had not come to write it.
  const record = `${weir.url}/v1/queues/${encodeURIComponent(`bull:schedulers:${name}`)}/jobs/s%3Alate`;
  const { data } = await (await fetch(record)).json();
  const written = await fetch(record, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: { ...data, next: Number(at) - 200 } }),
  });
  assert.ok(written.ok);
  const working = worker(async () => {});
  const done = await told(working, 'completed', 3);
  assert.equal(new Set(done.map(([{ id }]) => id)).size, 3);
});
