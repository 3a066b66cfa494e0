// Flows: the examples of BullMQ's guide to flows, and of its patterns with steps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WaitingChildrenError } from 'bullmq';
import { eventually, shared, told, world } from './weir.mjs';

const weir = await shared();

/** A parent queue, a child queue, and a worker for each. */
function family(t) {
  const one = world(t, weir);
  const children = `${one.name}-children`;
  return { ...one, children };
}

test('a parent runs when its children are done, and reads their results', async t => {
  const { flows, worker, name, children, queue } = family(t);
  const flow = await flows().add({
    name: 'renovate-interior',
    queueName: name,
    data: { house: 1 },
    children: [
      { name: 'paint', data: { place: 'ceiling' }, queueName: children },
      { name: 'paint', data: { place: 'walls' }, queueName: children, opts: { jobId: 'walls' } },
      { name: 'fix', data: { place: 'floor' }, queueName: children },
    ],
  });
  const parents = queue();
  assert.equal(await flow.job.getState(), 'waiting-children');
  assert.deepEqual((await parents.getWaitingChildren()).map(({ id }) => id), [flow.job.id]);
  assert.deepEqual(await flow.job.getDependenciesCount(), { processed: 0, unprocessed: 3, ignored: 0, failed: 0 });
  worker(async job => `${job.data.place} done`, {}, children);
  const parent = worker(async job => job.getChildrenValues());
  const [[job, values]] = await told(parent, 'completed');
  assert.equal(job.id, flow.job.id);
  const keys = flow.children.map(child => `bull:${children}:${child.job.id}`);
  assert.deepEqual(values, { [keys[0]]: 'ceiling done', [keys[1]]: 'walls done', [keys[2]]: 'floor done' });
  assert.equal(keys[1], `bull:${children}:walls`);
  assert.deepEqual(await job.getDependenciesCount({ processed: true, unprocessed: true }), { processed: 3, unprocessed: 0 });
  const { items, total, jobs } = await parents.getDependencies(job.id, 'processed', 0, -1);
  assert.deepEqual([items.length, total, jobs.length], [3, 3, 3]);
});

test('flows are as deep as they need to be, and are read as they were added', async t => {
  const { flows, worker, name } = family(t);
  const producer = flows();
  const { job } = await producer.add({
    name: 'root',
    queueName: name,
    data: {},
    children: [{ name: 'middle', queueName: name, data: {}, children: [{ name: 'leaf', queueName: name, data: {} }] }],
  });
  const tree = await producer.getFlow({ id: job.id, queueName: name });
  assert.deepEqual([tree.job.name, tree.children[0].job.name, tree.children[0].children[0].job.name], ['root', 'middle', 'leaf']);
  const seen = [];
  const working = worker(async one => seen.push(one.name));
  await told(working, 'completed', 3);
  assert.deepEqual(seen, ['leaf', 'middle', 'root']);
});

test('several flows are added at once, or none of them', async t => {
  const { flows, queue, name } = family(t);
  const producer = flows();
  const trees = await producer.addBulk([1, 2].map(number => ({ name: `${number}`, queueName: name, data: {}, children: [{ name: 'child', queueName: name, data: {} }] })));
  assert.equal(trees.length, 2);
  const jobs = queue();
  assert.deepEqual(await jobs.getJobCounts('waiting', 'waiting-children'), { waiting: 2, 'waiting-children': 2 });
  await assert.rejects(
    producer.add({ name: 'orphan', queueName: name, data: {}, opts: { parent: { id: 'nobody', queue: jobs.qualifiedName } } }),
    { code: -5, message: `Missing key for parent job ${jobs.qualifiedName}:nobody. addJob` },
  );
  assert.equal(await jobs.getWaitingCount(), 2);
});

test('a child that fails takes its parents with it where it says so', async t => {
  const { flows, worker, queue, name, children } = family(t);
  const { job, children: [child] } = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [
      {
        name: 'middle',
        queueName: name,
        data: {},
        opts: { failParentOnFailure: true },
        children: [{ name: 'leaf', queueName: children, data: {}, opts: { failParentOnFailure: true } }],
      },
    ],
  });
  worker(async () => Promise.reject(new Error('no')), {}, children);
  await eventually(async () => (await job.getState()) === 'failed');
  const root = await queue().getJob(job.id);
  assert.equal(root.failedReason, `child bull:${name}:${child.job.id} failed`);
  assert.deepEqual(await root.getDependenciesCount(), { processed: 0, unprocessed: 0, ignored: 0, failed: 1 });
});

test('a parent goes on without children that failed, where they say so', async t => {
  const { flows, worker, name, children } = family(t);
  const flow = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [
      { name: 'ignored', queueName: children, data: {}, opts: { ignoreDependencyOnFailure: true } },
      { name: 'removed', queueName: children, data: {}, opts: { removeDependencyOnFailure: true } },
    ],
  });
  worker(async job => Promise.reject(new Error(`no ${job.name}`)), {}, children);
  const parent = worker(async job => job.getIgnoredChildrenFailures());
  const [[, failures]] = await told(parent, 'completed');
  assert.deepEqual(failures, { [`bull:${children}:${flow.children[0].job.id}`]: 'no ignored' });
});

test('a parent runs at once when a child fails that says so, and may remove the others', async t => {
  const { flows, worker, queue, name, children } = family(t);
  await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [
      { name: 'fails', queueName: children, data: {}, opts: { continueParentOnFailure: true } },
      { name: 'waits', queueName: children, data: {}, opts: { delay: 60_000 } },
    ],
  });
  worker(async () => Promise.reject(new Error('no')), {}, children);
  const parent = worker(async job => {
    const failures = await job.getIgnoredChildrenFailures();
    await job.removeUnprocessedChildren();
    return Object.values(failures);
  });
  const [[, failures]] = await told(parent, 'completed');
  assert.deepEqual(failures, ['no']);
  assert.equal(await queue({}, children).getDelayedCount(), 0);
});

test('a job adds children while it runs and waits for them', async t => {
  const { worker, queue, name, children } = family(t);
  const parents = queue();
  const childQueue = queue({}, children);
  worker(async () => 'child done', {}, children);
  const parent = worker(async (job, token) => {
    if (job.data.step !== 'wait') {
      await childQueue.add('child', {}, { parent: { id: job.id, queue: job.queueQualifiedName } });
      await job.updateData({ step: 'wait' });
    }
    if (await job.moveToWaitingChildren(token)) {
      throw new WaitingChildrenError();
    }
    return Object.values(await job.getChildrenValues());
  });
  await parents.add('parent', { step: 'initial' });
  const [[, values]] = await told(parent, 'completed');
  assert.deepEqual(values, ['child done']);
  assert.ok(name);
});

test('removing a parent removes children that have not begun', async t => {
  const { flows, queue, name, children } = family(t);
  const { job } = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [{ name: 'child', queueName: children, data: {} }],
  });
  await job.remove();
  assert.equal(await queue({}, children).getWaitingCount(), 0);
  assert.equal(await job.getState(), 'unknown');
});

test('a parent is removed without its children, which go on', async t => {
  const { flows, queue, worker, name, children } = family(t);
  const { job } = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [{ name: 'child', queueName: children, data: {} }],
  });
  await job.remove({ removeChildren: false });
  assert.equal(await job.getState(), 'unknown');
  assert.equal(await queue({}, children).getWaitingCount(), 1);
  const [[child]] = await told(worker(async () => 'done', {}, children), 'completed');
  assert.equal(child.name, 'child');
});

test('a child is parted from its parent, which waits for it no more', async t => {
  const { flows, queue, worker, name, children } = family(t);
  const { job, children: added } = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [
      { name: 'done', queueName: children, data: {} },
      { name: 'apart', queueName: children, data: {}, opts: { delay: 3_600_000 } },
    ],
  });
  const [done, apart] = added.map(child => child.job);
  const parts = queue({}, children);
  await told(worker(async () => 'done', {}, children), 'completed');
  assert.equal(await done.removeChildDependency(), false, 'its parent has its result');
  assert.equal(await job.getState(), 'waiting-children');
  assert.ok((await parts.getJob(apart.id)).parentKey);
  assert.equal(await apart.removeChildDependency(), true);
  assert.equal(apart.parentKey, undefined);
  assert.equal((await parts.getJob(apart.id)).parentKey, undefined);
  const [[parent, values]] = await told(worker(async one => Object.values(await one.getChildrenValues())), 'completed');
  assert.deepEqual([parent.id, values], [job.id, ['done']]);
  assert.equal(await apart.getState(), 'delayed');
  const stray = await parts.add('stray', {});
  assert.equal(await stray.removeChildDependency(), false);
});

test('a child whose parent is gone is not parted from it', async t => {
  const { flows, name, children } = family(t);
  const { job, children: [child] } = await flows().add({
    name: 'root',
    queueName: name,
    data: {},
    children: [{ name: 'child', queueName: children, data: {} }],
  });
  await job.remove({ removeChildren: false });
  await assert.rejects(child.job.removeChildDependency(), { code: -5 });
});
