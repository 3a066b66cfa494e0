// What the tests share: a Weir of their own, queues with fresh names, and waiting for what must happen.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { withBackend } from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';

/** Bound of waiting for something that must happen; a failure takes this long, a success never does. */
const PATIENCE_MS = 30_000;

export class Weir {
  #process;
  #dir;
  #port = 0;

  /** A server of its own, with the given text as its configuration file. */
  static async start(configuration = '') {
    const weir = new Weir();
    weir.#dir = await mkdtemp(join(tmpdir(), 'weir-bullmq-'));
    await writeFile(join(weir.#dir, 'weir.toml'), configuration);
    await weir.start();
    return weir;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start() {
    const binary = process.env.WEIR_BIN ?? 'weir';
    const place = ['--config', join(this.#dir, 'weir.toml'), '--data-dir', join(this.#dir, 'data'), '--listen', `127.0.0.1:${this.#port}`];
    this.#process = spawn(binary, ['serve', ...place], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    const address = new Promise((resolve, reject) => {
      this.#process.stderr.on('data', text => {
        log += text.toString().replace(/\x1b\[[0-9;]*m/g, '');
        const found = /127\.0\.0\.1:(\d+)/.exec(log);
        if (found) {
          resolve(Number(found[1]));
        }
      });
      this.#process.once('exit', () => reject(new Error(`the server ended at its start:\n${log}`)));
    });
    this.#port = await address;
    await eventually(async () => (await fetch(`${this.url}/health/ready`)).ok);
  }

  /** Ends it at once, with nothing said to anybody. */
  async kill() {
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await this.kill();
    }
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Asks until the answer is true, and returns it. */
export async function eventually(condition) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await Promise.resolve().then(condition).catch(() => false);
    if (answer) {
      return answer;
    }
    if (Date.now() > until) {
      throw new Error(`not within ${PATIENCE_MS} ms: ${condition}`);
    }
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

let count = 0;

/** BullMQ's classes on a Weir, a fresh name, and everything that is made closed at the end of the test. */
export function world(t, weir, key = {}) {
  const made = withBackend(createWeirBackend);
  const connection = { url: weir.url, ...key };
  count += 1;
  const name = `queue-${process.pid}-${count}`;
  const open = [];
  t.after(async () => {
    for (const one of open.reverse()) {
      // A worker of a test that failed may hold a job that nobody finishes any more.
      await one.close(true);
    }
  });
  const keep = one => {
    one.on?.('error', error => errors.push(error));
    open.push(one);
    return one;
  };
  const errors = [];
  return {
    name,
    connection,
    errors,
    queue: (options, of = name) => keep(new made.Queue(of, { connection, ...options })),
    worker: (processor, options, of = name) => keep(new made.Worker(of, processor, { connection, drainDelay: 1, ...options })),
    events: async (of = name) => {
      const events = keep(new made.QueueEvents(of, { connection }));
      await events.waitUntilReady();
      return events;
    },
    flows: () => keep(new made.FlowProducer({ connection })),
    classes: made,
  };
}

/** The first so many of something that a worker or a queue tells, as lists of arguments. */
export function told(emitter, event, times = 1) {
  return new Promise((resolve, reject) => {
    const all = [];
    const timer = setTimeout(() => reject(new Error(`${all.length} of ${times} ${event} within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    const take = (...args) => {
      all.push(args);
      if (all.length === times) {
        clearTimeout(timer);
        emitter.off(event, take);
        resolve(all);
      }
    };
    emitter.on(event, take);
  });
}

/** A processor whose jobs run until they are told to finish. */
export function gated() {
  const gates = [];
  return {
    processor: () => new Promise(resolve => gates.push(resolve)),
    /** Once the job of this number has begun: what finishes it. */
    began: async number => {
      await eventually(() => gates.length >= number);
      return gates[number - 1];
    },
  };
}

/** One Weir for all tests of a file. */
export async function shared() {
  const weir = await Weir.start();
  after(() => weir.stop());
  return weir;
}
