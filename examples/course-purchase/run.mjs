// Runs all of it: Weir, the shop, the mailer, the provider, and customers who all come at once.
//
//   npm start                     prints what happens
//   npm start -- --kill           and ends Weir with kill -9 in the middle
//
// PURCHASES, MAX and WINDOW_MS say how many customers, and how many mails the provider allows in which time.

import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const purchases = Number(process.env.PURCHASES ?? 120);
const rate = { MAX: process.env.MAX ?? '50', WINDOW_MS: process.env.WINDOW_MS ?? '10000' };
const kill = process.argv.includes('--kill');
const folder = await mkdtemp(join(tmpdir(), 'course-purchase-'));
const began = Date.now();
const children = [];

try {
  const provider = await start('provider.mjs', rate);
  const weir = await serve(0);
  const environment = { ...rate, WEIR_URL: weir.url, PROVIDER_URL: provider.url };
  const shop = await start('shop.mjs', environment);
  await start('mailer.mjs', environment);

  const answers = await Promise.all(Array.from({ length: purchases }, (_, n) => buy(shop.url, n)));
  const answered = await report(provider.url);
  const slowest = Math.max(...answers);
  say(`${purchases} purchases answered, the slowest in ${slowest} ms; ${answered.mails.length} mails have left`);

  let last = await progress(provider.url, purchases / 2);
  if (kill) {
    await weir.kill();
    say('kill -9 of Weir');
    await serve(weir.port);
    say('Weir is back');
  }
  last = await progress(provider.url, purchases);
  const windowMs = Number(rate.WINDOW_MS);
  const most = busiest(last.mails.map(mail => mail.at), windowMs);
  const grants = busiest(await starts(weir.url), windowMs);
  const sent = new Set(last.mails.map(mail => mail.id)).size;
  say(`${sent} mails sent; at most ${grants} started, and ${most} arrived, within any ${rate.WINDOW_MS} ms; ${last.banned ? 'BANNED' : 'never banned'}`);
  console.log(JSON.stringify({ purchases, sent, mails: last.mails.length, grants, banned: last.banned, slowestMs: slowest, leftWhenAnswered: answered.mails.length }));
  process.exitCode = last.banned || sent !== purchases || grants > Number(rate.MAX) ? 1 : 0;
} finally {
  for (const child of children.reverse()) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(child.spawnargs.includes('serve') ? 'SIGKILL' : 'SIGTERM');
      await once(child, 'exit');
    }
  }
  await rm(folder, { recursive: true, force: true });
}

/** One of our programs, once it says that it is there. */
async function start(file, environment) {
  const child = fork(new URL(file, import.meta.url), { env: { ...process.env, ...environment } });
  children.push(child);
  const failed = once(child, 'exit').then(() => Promise.reject(new Error(`${file} ended`)));
  const [message] = await Promise.race([once(child, 'message'), failed]);
  failed.catch(() => {});
  return { url: `http://127.0.0.1:${message.port}` };
}

/** Weir over the folder, at a port. */
async function serve(port) {
  const options = ['serve', '--data-dir', join(folder, 'data'), '--listen', `127.0.0.1:${port}`];
  const child = spawn(process.env.WEIR_BIN ?? 'weir', options, { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  let log = '';
  const found = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`Weir ended at its start:\n${log}`)));
    child.stderr.on('data', text => {
      log += text.toString().replace(/\x1b\[[0-9;]*m/g, '');
      const address = /127\.0\.0\.1:(\d+)/.exec(log);
      if (address) {
        resolve(Number(address[1]));
      }
    });
  });
  const url = `http://127.0.0.1:${found}`;
  const serving = async () => (await fetch(`${url}/health/ready`).catch(() => ({}))).ok;
  while (!(await serving())) {
    await pause(20);
  }
  const end = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { url, port: found, kill: end };
}

/** A customer: how long the answer takes. */
async function buy(url, n) {
  const before = Date.now();
  const answer = await fetch(`${url}/purchases`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ purchase: n, course: 'hydraulics', to: `customer-${n}@example.com` }),
  });
  if (answer.status !== 201) {
    throw new Error(`a purchase is answered with ${answer.status}`);
  }
  return Date.now() - before;
}

async function report(url) {
  return (await fetch(url)).json();
}

/** Waits until so many mails have left, and tells of it from time to time. */
async function progress(url, count) {
  let told = 0;
  for (;;) {
    const now = await report(url);
    const sent = new Set(now.mails.map(mail => mail.id)).size;
    if (sent >= count || now.banned) {
      return now;
    }
    if (sent >= told + 25) {
      told = sent;
      say(`${sent} mails`);
    }
    await pause(50);
  }
}

/** When each mail was started, by the clock of Weir: its newest attempt. */
function starts(url) {
  const started = async n => {
    const answer = await fetch(`${url}/v1/queues/mails/jobs/welcome-${n}?wait=10`);
    return (await answer.json()).started_at_ms;
  };
  return Promise.all(Array.from({ length: purchases }, (_, n) => started(n)));
}

/** How many there were at most within any window. */
function busiest(times, windowMs) {
  times.sort((a, b) => a - b);
  let first = 0;
  return times.reduce((most, time, last) => {
    while (times[first] <= time - windowMs) {
      first += 1;
    }
    return Math.max(most, last - first + 1);
  }, 0);
}

function say(text) {
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}

function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms));
}
