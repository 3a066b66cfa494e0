// Traces of BullMQ's OpenTelemetry package, over Weir.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { BullMQOtel } from 'bullmq-otel';
import { eventually, shared, told, world } from './weir.mjs';

const weir = await shared();

test('the trace of who added a job goes on with who works on it', async t => {
  const spans = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const { queue, worker, name } = world(t, weir);
  const telemetry = new BullMQOtel('mails');
  const mails = queue({ telemetry });
  const working = worker(async () => {}, { telemetry });
  const done = told(working, 'completed');
  await mails.add('welcome', {});
  await done;
  const span = start => spans.getFinishedSpans().find(({ name: of }) => of.startsWith(start));
  const worked = await eventually(() => span(`process ${name}`));
  const added = span(`add ${name}`);
  assert.equal(worked.spanContext().traceId, added.spanContext().traceId);
  assert.equal(worked.parentSpanContext.spanId, added.spanContext().spanId);
});
