// The web server: keeps what is uploaded, queues the rest, and answers at once.

import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';

const board = process.env.BOARD;
const SIZES = [80, 320];
await mkdir(board, { recursive: true });

const web = express();

web.post('/uploads', express.raw({ type: 'image/*', limit: '20mb' }), async (request, response) => {
  const id = randomUUID();
  const file = join(board, `${id}.jpg`);
  await writeFile(file, request.body);
  await queue({
    // The mail is a job that waits for its children, the thumbnails: all three are added in one commit.
    queue: 'mails',
    custom_id: id,
    data: { to: request.get('x-user'), upload: id },
    children: SIZES.map(width => ({
      queue: 'thumbnails',
      data: { from: file, to: join(board, `${id}-${width}.webp`), width },
      on_failure: 'fail', // no mail about a picture that is none
    })),
  });
  response.status(201).json({ id });
});

async function queue(job) {
  const answer = await fetch(`${process.env.WEIR_URL}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jobs: [job] }),
  });
  if (!answer.ok) {
    throw new Error(`Weir answers ${answer.status}: ${await answer.text()}`);
  }
}

const server = web.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
