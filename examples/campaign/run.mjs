// Runs all of it: Weir, the three systems, the mailer, a campaign, and users who have forgotten their passwords.
//
//   npm start                       prints what happens
//   npm start -- --report FILE      and writes what was started when, and what the systems saw
//
// MAILS says how many the campaign has, 10 000 at most.

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { ask, busiest, each, leave, say, start, startWeir, until } from '../stage.mjs';
import { declare, optimumMs, systems } from './limits.mjs';

const { report } = parseArgs({ options: { report: { type: 'string' } } }).values;
const mails = Number(process.env.MAILS ?? 540);
const RESETS = 5;

try {
  // Weir calls no addresses that are not public unless it is told to.
  const weir = await startWeir('--push-allow-networks', '127.0.0.1');
  const urls = {};
  for (const [name, { takesMs, atOnce, window }] of Object.entries(systems)) {
    const limit = window ? { MAX: window.max, WINDOW_MS: window.per_ms } : { AT_ONCE: atOnce };
    const system = await start(import.meta.url, ['node', 'system.mjs'], { NAME: name, TAKES_MS: takesMs, ...limit });
    urls[name.toUpperCase()] = system.url;
  }
  const mailer = await start(import.meta.url, ['node', 'mailer.mjs'], urls);
  await declare(weir, mailer.url);

  const campaign = Array.from({ length: mails }, (_, n) => ({ data: { to: `customer-${n}@example.com` }, priority: 10 }));
  const added = (await ask('POST', `${weir}/v1/functions/campaign/enqueue`, { jobs: campaign })).jobs.map(job => job.id);
  say(`a campaign of ${mails} mails is added`);

  const counters = async () => (await ask('GET', `${weir}/v1/queues/campaign`)).counters;
  const finished = async () => {
    const { completed, failed } = await counters();
    return completed + failed;
  };
  const resets = [];
  for (let n = 1; n <= RESETS; n += 1) {
    await until(async () => (await finished()) >= (mails * n) / (RESETS + 1));
    const job = { data: { to: `forgetful-${n}@example.com` }, priority: 0 };
    const { id } = await ask('POST', `${weir}/v1/functions/resets/call?wait_ms=20000`, job);
    const sent = await ask('GET', `${weir}/v1/queues/resets/jobs/${id}`);
    resets.push(sent);
    say(`${await finished()} mails; a password reset was ${sent.state} after ${sent.finished_at_ms - sent.added_at_ms} ms`);
  }
  await until(async () => (await finished()) === mails);

  const jobs = await each(added, 16, id => ask('GET', `${weir}/v1/queues/campaign/jobs/${id}`));
  const starts = jobs.map(job => job.started_at_ms).sort((a, b) => a - b);
  const tookMs = starts.at(-1) - starts[0];
  const ratio = tookMs / optimumMs(mails);
  const { failed } = await counters();
  say(`${mails} mails, ${failed} failed; the last one started after ${tookMs} ms, ${ratio.toFixed(2)} times the optimum of ${optimumMs(mails)} ms`);

  const all = [...starts, ...resets.map(job => job.started_at_ms)];
  const seen = {};
  for (const [name, { window, atOnce }] of Object.entries(systems)) {
    seen[name] = await ask('GET', `${urls[name.toUpperCase()]}/report`);
    const { calls, mostUnderWay, refused } = seen[name];
    const limit = window
      ? `${busiest(all, window.per_ms)} started at most in any ${window.per_ms} ms, it takes ${window.max}`
      : `${mostUnderWay} at once at most, it takes ${atOnce}`;
    say(`${name}: ${calls} calls, ${Math.round((calls / tookMs) * 1000)}/s; ${limit}; ${refused} refused`);
  }
  if (report) {
    await writeFile(report, JSON.stringify({ systems, seen, jobs, resets, tookMs, optimumMs: optimumMs(mails) }));
  }
  process.exitCode = Object.values(seen).some(({ refused }) => refused > 0) ? 1 : 0;
} finally {
  await leave();
}
