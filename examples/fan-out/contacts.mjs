// Contact reconciliation, as BullMQ's users write it: brings what changed into the CRM. How fast, the queue says.

import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';

const { Worker } = withBackend(createWeirBackend); // the line that makes it Weir

const worker = new Worker(
  'contacts',
  async job => {
    await reconcile(job.data);
    console.log(JSON.stringify({ action: job.data.id, job: job.id }));
  },
  {
    connection: { url: process.env.WEIR_URL },
    concurrency: 10,
    lockDuration: 3000, // if this process dies, its jobs are given to another after so long
  },
);

/** The CRM's part. To set what is set already changes nothing, so an action may come twice. */
async function reconcile({ mail, ...contact }) {
  crm.set(mail, contact);
}

const crm = new Map();

worker.on('error', error => console.error('contacts:', error.message));
worker.waitUntilReady().then(() => console.log(JSON.stringify({ ready: true })));
