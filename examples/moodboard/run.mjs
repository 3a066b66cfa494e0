// Runs all of it: Weir, the web server, the process workers, the mailer, and people who upload.
//
//   npm start                       prints what happens
//   npm start -- --board FOLDER     and keeps the pictures there, to look at
//   npm start -- --report FILE      and writes all that was uploaded, mailed and started
//
// UPLOADS says how many pictures there are.

import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

import { ask, busiest, each, folder, leave, say, start, startSilent, startWeir, until, weirBinary } from '../stage.mjs';

// What the mail provider allows.
const PROVIDER = { max: 3, per_ms: 2000 };

const options = { board: { type: 'string' }, report: { type: 'string' } };
const { board, report } = parseArgs({ options }).values;
const uploads = Number(process.env.UPLOADS ?? 12);

try {
  const weir = await startWeir();
  await ask('PUT', `${weir}/v1/limiters/provider`, { windows: [PROVIDER] });
  await ask('PUT', `${weir}/v1/queues/mails`, { limiters: [{ limiter: 'provider' }] });
  await ask('PUT', `${weir}/v1/queues/thumbnails`, {});

  const environment = { WEIR_URL: weir, BOARD: board ? resolve(board) : join(folder, 'board') };
  const web = await start(import.meta.url, ['node', 'web.mjs'], environment);
  const mailer = await start(import.meta.url, ['node', 'mailer.mjs'], environment);

  // Everybody uploads at once, and somebody uploads what is no picture.
  const pictures = await Promise.all(Array.from({ length: uploads }, (_, n) => picture(n)));
  const ids = await each(pictures, 4, one => upload(web.url, one));
  const broken = await upload(web.url, Buffer.from('this is not a picture'));
  const answered = { uploads: ids.length + 1, mails: mailer.said.length - 1 };
  say(`${answered.uploads} uploads are answered, ${answered.mails} mails are sent`);

  // The workers come now: nobody has waited for them.
  const work = [weirBinary, 'work', 'thumbnails', '--concurrency', '2', '--timeout', '1m', '--', 'node', 'thumbnail.mjs'];
  await startSilent(import.meta.url, work, environment);
  const finished = async id => (await ask('GET', `${weir}/v1/queues/mails/jobs/${id}?wait=20`)).finished_at_ms !== undefined;
  for (const id of [...ids, broken]) {
    await until(() => finished(id));
  }

  const jobs = await each(ids, 4, id => ask('GET', `${weir}/v1/queues/mails/jobs/${id}`));
  const starts = jobs.map(job => job.started_at_ms);
  const most = busiest(starts, PROVIDER.per_ms);
  const mails = mailer.said.slice(1);
  const noPicture = await ask('GET', `${weir}/v1/queues/mails/jobs/${broken}`);
  say(`${mails.length} mails are sent, each with its thumbnails; the one about what is no picture has ${noPicture.state}`);
  say(`at most ${most} mails were started within any ${PROVIDER.per_ms} ms; the provider takes ${PROVIDER.max}`);
  if (report) {
    await writeFile(report, JSON.stringify({ ids, answered, mails, noPicture, starts, PROVIDER }));
  }
  process.exitCode = most > PROVIDER.max ? 1 : 0;
} finally {
  await leave();
}

/** A picture of its own colour, in one of two shapes. */
function picture(n) {
  const [width, height] = n % 2 === 0 ? [1600, 1200] : [900, 1200];
  const background = { r: (n * 40) % 256, g: (n * 90) % 256, b: 160 };
  return sharp({ create: { width, height, channels: 3, background } }).jpeg().toBuffer();
}

/** Uploads it, and returns the id that it was given. */
async function upload(url, body) {
  const headers = { 'content-type': 'image/jpeg', 'x-user': 'ada@example.com' };
  const answer = await fetch(`${url}/uploads`, { method: 'POST', headers, body });
  if (!answer.ok) {
    throw new Error(`an upload is answered with ${answer.status}`);
  }
  return (await answer.json()).id;
}
