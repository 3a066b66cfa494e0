// Weir is killed while jobs are added and worked on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Weir, eventually, told, world } from './weir.mjs';

test('no job is lost or done twice at once over kill -9 of the server', async t => {
  const weir = await Weir.start();
  const { queue, worker } = world(t, weir);
  t.after(() => weir.stop());
  const paint = queue();
  const running = new Set();
  const done = new Map();
  const workers = [1, 2].map(() =>
    worker(
      async job => {
        assert.ok(!running.has(job.id), `job ${job.id} runs twice at once`);
        running.add(job.id);
        await new Promise(resolve => setTimeout(resolve, 1));
        running.delete(job.id);
        done.set(job.data.number, (done.get(job.data.number) ?? 0) + 1);
      },
      { concurrency: 10, lockDuration: 2_000, maxStalledCount: 100, runRetryDelay: 100 },
    ),
  );
  const added = [];
  let stop = false;
  const producing = (async () => {
    for (let number = 0; !stop; number += 1) {
      // What the server did not answer may or may not have been added.
      await paint.add('paint', { number }).then(() => added.push(number), () => {});
    }
  })();
  for (let round = 0; round < 3; round += 1) {
    await told(workers[0], 'completed', 50);
    await weir.kill();
    await weir.start();
  }
  stop = true;
  await producing;
  await eventually(() => added.every(number => done.has(number)));
  assert.ok(added.length > 100);
  await eventually(async () => {
    const { waiting, active, delayed, failed } = await paint.getJobCounts('waiting', 'active', 'delayed', 'failed');
    return waiting + active + delayed + failed === 0;
  });
});

test('what happens after a restart is told again', async t => {
  const weir = await Weir.start();
  const { queue, worker, events } = world(t, weir);
  t.after(() => weir.stop());
  const paint = queue();
  const heard = await events();
  worker(async () => 'done');
  await (await paint.add('one', {})).waitUntilFinished(heard);
  await weir.kill();
  await weir.start();
  await eventually(async () => {
    const job = await paint.add('two', {});
    return job.waitUntilFinished(heard, 1_000);
  });
});
