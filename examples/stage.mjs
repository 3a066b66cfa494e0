// What the examples play on: a Weir of their own, and programs beside it, all ended with the example.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const began = Date.now();
const running = [];
let broken;

/** The binary: the one that WEIR_BIN names, or else the one on the PATH. */
export const weirBinary = process.env.WEIR_BIN ?? 'weir';

/** A folder for what the example keeps, which goes with it. */
export const folder = await mkdtemp(join(tmpdir(), 'weir-example-'));

/** Starts Weir on a free port, and returns its address once it serves. */
export async function startWeir(...options) {
  const place = ['--data-dir', join(folder, 'data'), '--listen', '127.0.0.1:0'];
  const child = spawn(weirBinary, ['serve', ...place, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child, 'spawn').catch(cause => {
    throw new Error(`cannot run ${weirBinary}: put weir on the PATH, or name it in WEIR_BIN`, { cause });
  });
  running.push(child);
  let log = '';
  const url = await new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`Weir ended at its start:\n${log}`)));
    child.stderr.on('data', text => {
      log += text.toString().replace(/\x1b\[[0-9;]*m/g, '');
      const [address] = /127\.0\.0\.1:\d+/.exec(log) ?? [];
      if (address) {
        resolve(`http://${address}`);
      }
    });
  });
  await until(async () => (await fetch(`${url}/health/ready`).catch(() => ({}))).ok);
  return url;
}

/**
 * Starts a program of the example. Programs say what they do in lines of JSON, all of which `said` has; the first tells that
 * the program is there, and is waited for.
 */
export async function start(here, command, environment) {
  const program = await startSilent(here, command, environment);
  await until(() => program.said.length > 0);
  return { ...program, url: `http://127.0.0.1:${program.said[0].port}` };
}

/** Starts a program that says nothing. */
export async function startSilent(here, command, environment) {
  const [program, ...options] = command;
  const child = spawn(program, options, {
    cwd: fileURLToPath(new URL('.', here)),
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child, 'spawn');
  running.push(child);
  const said = [];
  const ended = once(child, 'close');
  child.once('exit', () => (broken ??= new Error(`${command.join(' ')} has ended`)));
  createInterface({ input: child.stdout }).on('line', line => said.push(JSON.parse(line)));
  const end = async signal => {
    child.removeAllListeners('exit');
    child.kill(signal);
    await ended;
  };
  return { said, end };
}

/** Ends everything that was started, the newest first, and takes the folder away. */
export async function leave() {
  for (const child of running.reverse()) {
    child.removeAllListeners('exit');
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await rm(folder, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => leave().then(() => process.exit(1)));
}

/** A request with JSON, and the JSON of its answer. */
export async function ask(method, url, body) {
  const answer = await fetch(url, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${method} ${url} is answered with ${answer.status}: ${await answer.text()}`);
  }
  return answer.json();
}

/** Does something with all of a list, so many at once. */
export async function each(list, atOnce, work) {
  const left = list.entries();
  const found = [];
  const next = async () => {
    for (const [at, entry] of left) {
      found[at] = await work(entry);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, next));
  return found;
}

/** Waits until something is the case, or fails with the first program that ended before its time. */
export async function until(isSo) {
  while (!(await isSo())) {
    if (broken) {
      throw broken;
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** The most that there were within any window. */
export function busiest(times, windowMs) {
  times = times.toSorted((a, b) => a - b);
  let first = 0;
  return times.reduce((most, time, last) => {
    while (times[first] <= time - windowMs) {
      first += 1;
    }
    return Math.max(most, last - first + 1);
  }, 0);
}

export function say(text) {
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}
