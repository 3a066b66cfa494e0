// bull-board, the dashboard that people use with BullMQ, over queues of a test.

import { once } from 'node:events';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';

/** Serves a board over queues until the test ends; its address. */
export async function serveBoard(t, queues) {
  const serverAdapter = new ExpressAdapter();
  createBullBoard({ queues: queues.map(queue => new BullMQAdapter(queue)), serverAdapter });
  const server = express().use('/', serverAdapter.getRouter()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
