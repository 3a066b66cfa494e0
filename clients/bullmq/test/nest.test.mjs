// An application of NestJS with @nestjs/bullmq, on Weir by one line.

import 'reflect-metadata';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BullModule, OnQueueEvent, OnWorkerEvent, Processor, QueueEventsHost, QueueEventsListener, WorkerHost, getFlowProducerToken, getQueueToken,
} from '@nestjs/bullmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { setDefaultBackendFactory } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';
import { eventually, shared } from './weir.mjs';

const weir = await shared();

test('a processor of a NestJS application works on the jobs of an injected queue', async t => {
  setDefaultBackendFactory(createWeirBackend);
  t.after(() => setDefaultBackendFactory(undefined));
  const played = [];
  class Audio extends WorkerHost {
    async process(job) {
      played.push(job.data.file);
      return `${job.name} done`;
    }
  }
  class App {}
  // What the decorators of TypeScript would say.
  Injectable()(Audio);
  Processor('audio')(Audio);
  Module({
    imports: [BullModule.forRoot({ connection: { url: weir.url } }), BullModule.registerQueue({ name: 'audio' })],
    providers: [Audio],
  })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  t.after(() => app.close());
  const queue = app.get(getQueueToken('audio'));
  const job = await queue.add('transcode', { file: 'a.mp3' });
  await eventually(async () => (await job.getState()) === 'completed');
  assert.deepEqual(played, ['a.mp3']);
  assert.equal((await queue.getJob(job.id)).returnvalue, 'transcode done');
});

test('listeners and flow producers of a NestJS application are served', async t => {
  setDefaultBackendFactory(createWeirBackend);
  t.after(() => setDefaultBackendFactory(undefined));
  const told = [];
  const say = (target, method, event, decorate) => decorate(event)(target.prototype, method, Object.getOwnPropertyDescriptor(target.prototype, method));
  class Mix extends WorkerHost {
    async process(job) {
      return `${job.name} of ${Object.values(await job.getChildrenValues())}`;
    }
    completed(job) {
      told.push(`worker: ${job.name}`);
    }
  }
  class Listener extends QueueEventsHost {
    completed({ returnvalue }) {
      told.push(`queue: ${returnvalue}`);
    }
  }
  class App {}
  Processor('mix')(Mix);
  say(Mix, 'completed', 'completed', OnWorkerEvent);
  QueueEventsListener('mix')(Listener);
  say(Listener, 'completed', 'completed', OnQueueEvent);
  Module({
    imports: [
      BullModule.forRoot({ connection: { url: weir.url } }),
      BullModule.registerQueue({ name: 'mix' }),
      BullModule.registerFlowProducer({ name: 'flows' }),
    ],
    providers: [Mix, Listener],
  })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  t.after(() => app.close());
  await app.get(Listener).queueEvents.waitUntilReady();
  await app.get(getFlowProducerToken('flows')).add({
    name: 'album',
    queueName: 'mix',
    data: {},
    children: [{ name: 'track', queueName: 'mix', data: {} }],
  });
  await eventually(() => told.length === 4);
  assert.deepEqual(told.sort(), ['queue: album of track of ', 'queue: track of ', 'worker: album', 'worker: track']);
});
