// Connections that break, or carry nothing any more, between BullMQ and Weir.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { test } from 'node:test';
import { Proxy } from './proxy.mjs';
import { Weir, eventually, gated, shared, told, world } from './weir.mjs';

const weir = await shared();

/** BullMQ's classes behind a proxy of their own. */
async function behindProxy(t) {
  const proxy = await Proxy.before(Number(new URL(weir.url).port));
  const made = world(t, weir, { url: `http://127.0.0.1:${proxy.port}` });
  t.after(() => proxy.close());
  return { proxy, ...made };
}

/** BullMQ's classes behind a server that passes on what they ask for, once what `held` says of it has resolved. */
async function withHeldBack(t, held) {
  const between = createServer(async (asked, answer) => {
    try {
      await held(asked);
    } catch {
      answer.destroy();
      return;
    }
    const passed = request(weir.url + asked.url, { method: asked.method, headers: asked.headers }, got => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  t.after(() => {
    between.close();
    between.closeAllConnections();
  });
  return world(t, weir, { url: `http://127.0.0.1:${between.address().port}` });
}

test('a worker that waits, and its events, go on after their connections were cut', async t => {
  const { proxy, queue, worker, events, connection } = await behindProxy(t);
  const paint = queue({ connection: { ...connection, url: weir.url } });
  const heard = await events();
  const working = worker(async () => 'done', { runRetryDelay: 10 });
  for (let nth = 0; nth < 3; nth += 1) {
    const both = Promise.all([told(working, 'completed'), told(heard, 'completed')]);
    const job = await paint.add('cars', {});
    const [[[completed]], [[{ jobId }]]] = await both;
    assert.deepEqual([completed.id, jobId], [job.id, job.id]);
    assert.ok(proxy.cut(1) > 0);
  }
});

test('an answer that was lost loses no job, and one with an id is there once', async t => {
  const { proxy, queue, connection } = await behindProxy(t);
  const paint = queue();
  await paint.waitUntilReady();
  const direct = queue({ connection: { ...connection, url: weir.url } });
  for (let nth = 0; nth < 10; nth += 1) {
    const adding = paint.add('cars', {}, { jobId: `car-${nth}` });
    const cut = setInterval(() => proxy.cut(1), 1);
    const failure = await adding.then(() => undefined, error => error);
    clearInterval(cut);
    if (failure) {
      assert.equal(failure.name, 'WeirConnectionError', String(failure));
      await paint.add('cars', {}, { jobId: `car-${nth}` });
    }
  }
  assert.deepEqual((await direct.getWaiting()).map(({ id }) => id), Array.from({ length: 10 }, (_, nth) => `car-${nth}`));
});

test('a job whose result could not be told runs again, after its lock has ended', async t => {
  const { proxy, queue, worker, connection } = await behindProxy(t);
  const paint = queue({ connection: { ...connection, url: weir.url } });
  const { processor, began } = gated();
  const running = [];
  const working = worker(
    async job => {
      running.push(job.attemptsStarted);
      await processor();
    },
    { lockDuration: 300, maxStalledCount: 100, runRetryDelay: 10 },
  );
  const done = told(working, 'completed');
  const job = await paint.add('cars', {});
  const finish = await began(1);
  // Nothing goes through, so neither the lock is extended nor the result told.
  const until = proxy.silence();
  finish();
  await eventually(async () => (await job.getState()) === 'waiting');
  until();
  proxy.cut(1);
  (await began(2))();
  assert.equal((await done)[0][0].id, job.id);
  assert.ok(running.length >= 2);
});

test('a job whose lock ended before its worker could begin is not begun by it', async t => {
  let hold = Promise.resolve();
  const held = asked => (asked.method === 'GET' && /\/jobs\/\d+$/.test(asked.url) ? hold : undefined);
  const { queue, worker, connection } = await withHeldBack(t, held);
  const paint = queue({ connection: { ...connection, url: weir.url } });
  const runs = [];
  let letGo;
  const working = worker(
    async job => {
      runs.push([job.attemptsMade, job.stalledCounter]);
      if (job.attemptsMade === 0) {
        // The worker looks at a job that was tried before; its next lease ends meanwhile.
        hold = new Promise(resolve => (letGo = resolve));
        throw new Error('not yet');
      }
    },
    { lockDuration: 200, maxStalledCount: 100 },
  );
  const done = told(working, 'completed');
  const job = await paint.add('cars', {}, { attempts: 2 });
  await eventually(async () => (await job.getState()) === 'waiting' && (await paint.getJob(job.id)).stalledCounter === 1);
  letGo();
  await done;
  assert.deepEqual(runs, [[0, 0], [1, 1]]);
});

test('a job begins although the request for the next one is not answered', async t => {
  let letGo;
  const hold = new Promise(resolve => (letGo = resolve));
  let leases = 0;
  const { queue, worker, connection } = await withHeldBack(t, ({ url }) => {
    leases += url.endsWith('/lease') ? 1 : 0;
    return leases === 2 ? hold : undefined;
  });
  const paint = queue({ connection: { ...connection, url: weir.url } });
  await paint.addBulk([{ name: 'cars', data: {} }, { name: 'cars', data: {} }]);
  const { processor, began } = gated();
  worker(processor, { concurrency: 2 });
  const finish = await began(1);
  letGo();
  (await began(2))();
  finish();
  await eventually(async () => (await paint.getCompletedCount()) === 2);
});

test('a job begins although the request for the next one failed', async t => {
  let fails = 0;
  let leases = 0;
  const { queue, worker, connection } = await withHeldBack(t, async ({ url }) => {
    leases += url.endsWith('/lease') ? 1 : 0;
    if (leases === 2) {
      fails += 1;
      throw new Error('cut');
    }
  });
  const paint = queue({ connection: { ...connection, url: weir.url } });
  await paint.addBulk([{ name: 'cars', data: {} }, { name: 'cars', data: {} }]);
  const { processor, began } = gated();
  const working = worker(processor, { concurrency: 2, runRetryDelay: 3_600_000 });
  const errors = [];
  working.on('error', error => errors.push(error.name));
  const [first, second] = await Promise.all([began(1), began(2)]);
  first();
  second();
  await eventually(async () => (await paint.getCompletedCount()) === 2);
  assert.deepEqual([fails, errors], [1, ['WeirConnectionError']]);
});

test('adding fails at once while the server is away, where that is asked for', async t => {
  const away = await Weir.start();
  t.after(() => away.stop());
  const { queue } = world(t, away, { retryForMs: 0 });
  const paint = queue();
  await paint.add('cars', {});
  await away.kill();
  await assert.rejects(paint.add('cars', {}), { name: 'WeirConnectionError' });
  await away.start();
  await paint.add('cars', {});
});
