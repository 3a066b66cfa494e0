// Metrics: what finished, minute by minute.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsOf } from '../dist/esm/metrics.js';
import { shared, told, world } from './weir.mjs';

const weir = await shared();
const MINUTE_MS = 60_000;

test('what was completed and what failed is counted', async t => {
  const { queue, worker } = world(t, weir);
  const paint = queue();
  assert.deepEqual((await paint.getMetrics('completed')).meta.count, 0);
  const working = worker(async job => {
    if (job.name === 'broken') {
      throw new Error('broken');
    }
  });
  const outcomes = Promise.all([told(working, 'completed', 2), told(working, 'failed')]);
  await paint.addBulk(['one', 'broken', 'two'].map(name => ({ name, data: {}, opts: { removeOnComplete: true } })));
  await outcomes;
  const [completed, failed] = await Promise.all([paint.getMetrics('completed'), paint.getMetrics('failed')]);
  // The minute may end in between: then it is a data point already.
  for (const [{ meta, data, count }, times] of [[completed, 2], [failed, 1]]) {
    assert.equal(meta.count, times);
    assert.equal(meta.prevTS % MINUTE_MS, 0);
    assert.equal(data.reduce((sum, point) => sum + point, 0), meta.prevCount);
    assert.equal(data.length, count);
  }
  const text = await paint.exportPrometheusMetrics();
  assert.match(text, new RegExp(`bullmq_job_completed_total\\{queue="${paint.name}"\\} 2`));
  assert.match(text, new RegExp(`bullmq_job_failed_total\\{queue="${paint.name}"\\} 1`));
});

test('counts of jobs are told as Prometheus reads them', async t => {
  const { queue, name } = world(t, weir);
  const paint = queue();
  await paint.add('waits', {});
  await paint.add('later', {}, { delay: 60_000 });
  const metrics = await paint.exportPrometheusMetrics({ env: 'test' });
  assert.match(metrics, new RegExp(`bullmq_job_count\\{queue="${name}", state="waiting", env="test"\\} 1`));
  assert.match(metrics, new RegExp(`bullmq_job_count\\{queue="${name}", state="delayed", env="test"\\} 1`));
});

test('there is a data point for each minute that is over, the newest first', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: 20_000 * 1_440 * MINUTE_MS + 42 });
  const now = Math.floor(Date.now() / MINUTE_MS);
  const ended = new Map([[0, 5], [1, 2], [4, 1], [1_441, 7]]);
  const asked = [];
  const server = {
    ask: async (_method, path) => {
      const query = new URL(path, 'http://weir').searchParams;
      const [from, to] = [Number(query.get('from_ms')), Number(query.get('to_ms'))];
      asked.push((to - from) / MINUTE_MS + 1);
      const minutes = [...ended].map(([ago, completed]) => ({ at_ms: (now - ago) * MINUTE_MS, completed, failed: 0 }));
      return { completed: 15, failed: 0, minutes: minutes.filter(({ at_ms }) => at_ms >= from && at_ms <= to).reverse() };
    },
  };
  const [meta, data, count] = await metricsOf(server, 'a', 'completed', 0, -1);
  assert.deepEqual(meta, ['15', String(now * MINUTE_MS), '10']);
  assert.deepEqual(data, ['2', '0', '0', '1', ...Array(1_436).fill('0'), '7']);
  assert.deepEqual([count, asked], [1_441, [1_440, 1_440]]);
  assert.deepEqual((await metricsOf(server, 'a', 'completed', 0, 3))[1], ['2', '0', '0', '1']);
  assert.deepEqual((await metricsOf(server, 'a', 'completed', -2, -1))[1], ['0', '7']);
  assert.deepEqual(await metricsOf(server, 'a', 'failed', 0, -1), [['0', String(now * MINUTE_MS), '0'], [], 0]);
});
