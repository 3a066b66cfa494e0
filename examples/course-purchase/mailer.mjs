// The worker, a process of its own: sends mails, and never more than the provider allows.

import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';

const { Worker } = withBackend(createWeirBackend); // the line that makes it Weir

const worker = new Worker(
  'mails',
  async job => {
    const answer = await fetch(process.env.PROVIDER_URL, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: job.id, ...job.data }),
    });
    if (!answer.ok) {
      throw new Error(`the provider answers ${answer.status}`);
    }
    return answer.json();
  },
  {
    connection: { url: process.env.WEIR_URL },
    concurrency: 10,
    limiter: { max: Number(process.env.MAX), duration: Number(process.env.WINDOW_MS) },
  },
);

worker.on('error', error => console.error('mailer:', error.message));
worker.on('failed', (job, error) => console.error('mailer:', job?.id, error.message));
worker.waitUntilReady().then(() => process.send?.({ ready: true }));
process.on('SIGTERM', () => worker.close().then(() => process.exit(0)));
