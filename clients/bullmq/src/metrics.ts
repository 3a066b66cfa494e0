// What finished of a queue, minute by minute, as BullMQ tells it.

import type { Metrics } from './native.js';
import { queuePath } from './server.js';
import type { Server } from './server.js';

const MINUTE_MS = 60_000;
/** Minutes of a request, and for how many of these the server knows anything. */
const MINUTES_AT_ONCE = 24 * 60;
const DAYS = 14;

/**
 * How many jobs ended so, and how many did in each minute that is over since the first one that is known, the newest
 * first. The server counts whether or not a worker asked for it.
 */
export async function metricsOf(
  server: Server,
  queue: string,
  type: 'completed' | 'failed',
  start: number,
  end: number,
): Promise<[string[], string[], number]> {
  const now = Math.floor(Date.now() / MINUTE_MS);
  const counts = new Map<number, number>();
  let total = 0;
  let found = 0;
  for (let day = 0; day < DAYS && (day === 0 || found < total); day += 1) {
    const to = now - day * MINUTES_AT_ONCE;
    const query = `from_ms=${(to - MINUTES_AT_ONCE + 1) * MINUTE_MS}&to_ms=${to * MINUTE_MS}`;
    const metrics = await server.ask<Metrics>('GET', `${queuePath(queue, 'metrics')}?${query}`);
    total = metrics[type];
    for (const minute of metrics.minutes) {
      counts.set(minute.at_ms / MINUTE_MS, minute[type]);
      found += minute[type];
    }
  }
  const first = Math.min(...[...counts].flatMap(([minute, count]) => (count > 0 ? [minute] : [])), now);
  const data: string[] = [];
  for (let minute = now - 1; minute >= first; minute -= 1) {
    data.push(String(counts.get(minute) ?? 0));
  }
  const meta = [total, now * MINUTE_MS, total - (counts.get(now) ?? 0)].map(String);
  const from = start < 0 ? Math.max(0, data.length + start) : start;
  return [meta, data.slice(from, end < 0 ? data.length + end + 1 : end + 1), data.length];
}
