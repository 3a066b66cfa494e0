// The web server: charges and enrols at once, and leaves the mail to a queue.

import express from 'express';
import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';

const { Queue } = withBackend(createWeirBackend); // the line that makes it Weir

const mails = new Queue('mails', {
  connection: { url: process.env.WEIR_URL },
  defaultJobOptions: { attempts: 8, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: false },
});

const shop = express();
shop.use(express.json());

shop.post('/purchases', async (request, response) => {
  const { purchase, course, to } = request.body;
  charge(purchase);
  enrol(to, course);
  // The same purchase, sent twice, makes one mail.
  await mails.add('welcome', { to, course }, { jobId: `welcome-${purchase}` });
  response.status(201).json({ purchase, enrolled: course });
});

const server = shop.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));

function charge(purchase) {
  charged.add(purchase);
}

function enrol(to, course) {
  enrolled.add(`${to} ${course}`);
}

const charged = new Set();
const enrolled = new Set();
