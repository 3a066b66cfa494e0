// bull-board, the dashboard that people use with BullMQ, on Weir: what its page asks its server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveBoard } from './board.mjs';
import { shared, told, world } from './weir.mjs';

const weir = await shared();

/** A board over queues: asks its server as the page does. */
async function board(t, queues) {
  const url = await serveBoard(t, queues);
  return async (method, path) => {
    const answer = await fetch(`${url}${path}`, { method });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text;
  };
}

test('bull-board shows the queues and their jobs by state', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  const working = worker(async job => assert.ok(!job.data.fails));
  const both = Promise.all([told(working, 'completed'), told(working, 'failed')]);
  await paint.add('done', {});
  await paint.add('failed', { fails: true });
  await paint.add('delayed', {}, { delay: 60_000 });
  await both;
  await working.close();
  await paint.add('waits', {});
  await paint.add('urgent', {}, { priority: 1 });
  const ask = await board(t, [paint]);
  const shown = async status => {
    const { queues: [seen] } = await ask('GET', `/api/queues?activeQueue=${name}&status=${status}&page=1&jobsPerPage=10`);
    return seen;
  };
  const { counts } = await shown('latest');
  assert.deepEqual(counts, { active: 0, completed: 1, delayed: 1, failed: 1, prioritized: 1, waiting: 1, 'waiting-children': 0 });
  for (const [status, expected] of [
    ['completed', 'done'], ['failed', 'failed'], ['delayed', 'delayed'], ['waiting', 'waits'], ['prioritized', 'urgent'],
  ]) {
    assert.deepEqual((await shown(status)).jobs.map(job => job.name), [expected], status);
  }
  assert.equal((await shown('latest')).jobs.length, 5);
});

test('bull-board changes queues and jobs', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  let broken = true;
  const working = worker(async job => {
    await job.log('a line');
    assert.ok(!broken);
  });
  const failed = told(working, 'failed');
  const { id } = await paint.add('cars', {});
  await failed;
  const ask = await board(t, [paint]);
  assert.deepEqual(await ask('GET', `/api/queues/${name}/${id}/logs`), ['a line']);
  assert.equal((await ask('GET', `/api/queues/${name}/${id}`)).job.failedReason, (await paint.getJob(id)).failedReason);
  await ask('PUT', `/api/queues/${name}/pause`);
  assert.equal(await paint.isPaused(), true);
  await ask('PUT', `/api/queues/${name}/resume`);
  broken = false;
  const done = told(working, 'completed');
  await ask('PUT', `/api/queues/${name}/retry/failed`);
  await done;
  const delayed = await paint.add('later', {}, { delay: 60_000 });
  const promoted = told(working, 'completed');
  await ask('PUT', `/api/queues/${name}/${delayed.id}/promote`);
  await promoted;
  await ask('PUT', `/api/queues/${name}/clean/completed`);
});
