// The same BullMQ program on Redis and on Weir, side by side in one run:
//
//   node bench/compare.mjs [--rounds 3] [--scale 1] [--dir .] [--only WORD]
//
// Each round drives every workload on every server in turn; medians are printed, and one line of JSON. The data lies in
// a folder under --dir, which names the disk. --only takes the workloads whose name has WORD in it.

import { execFile } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { redis, weir } from './servers.mjs';
import { workloads } from './workloads.mjs';

const text = value => ({ type: 'string', default: value });
const { values: options } = parseArgs({ options: { rounds: text('3'), scale: text('1'), dir: text('.'), only: text('') } });
const place = resolve(options.dir);
const client = fileURLToPath(new URL('client.mjs', import.meta.url));
const names = Object.keys(workloads(1)).filter(name => name.includes(options.only));

const median = values => values.sort((one, other) => one - other)[Math.floor(values.length / 2)];

/** What syncing a few bytes takes on the disk, in ms. */
function syncTime() {
  const path = join(place, `weir-bench-sync-${process.pid}`);
  const file = openSync(path, 'w');
  const times = Array.from({ length: 50 }, () => {
    const began = performance.now();
    writeSync(file, 'x'.repeat(512));
    fdatasyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  rmSync(path);
  return median(times);
}

async function drive(server, name) {
  const args = [client, server.kind, JSON.stringify(server.connection), String(server.pid), name, options.scale];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 300_000 });
  return JSON.parse(stdout);
}

const servers = [await redis('always', place), await redis('everysec', place), await weir(place)];
const seen = Object.fromEntries(names.map(name => [name, Object.fromEntries(servers.map(server => [server.name, []]))]));
const syncs = [syncTime()];
try {
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const name of names) {
      for (const server of servers) {
        console.error(`round ${round + 1}: ${name} on ${server.name}`);
        seen[name][server.name].push(await drive(server, name));
      }
    }
  }
} finally {
  await Promise.all(servers.map(server => server.stop()));
}
syncs.push(syncTime());

const of = (name, server, what) => median(seen[name][server].map(one => one[what]));
const thousands = value => Math.round(value).toLocaleString('en').replaceAll(',', ' ');
const percent = (one, other) => `${Math.round((100 * one) / other)} %`;
console.log(`an fdatasync of 512 bytes: ${syncs.map(ms => ms.toFixed(2)).join(' and ')} ms; ${options.rounds} rounds, medians\n`);
console.log('| workload | Redis always | Redis everysec | Weir | of always | of everysec | server µs a job: always, everysec, Weir | client µs a job |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
for (const name of names) {
  const timed = 'p50' in seen[name].weir[0];
  const all = what => servers.map(server => of(name, server.name, what));
  const [always, everysec, weirs] = all(timed ? 'p50' : 'rate');
  const shown = timed
    ? servers.map(server => `p50 ${of(name, server.name, 'p50').toFixed(2)}, p99 ${of(name, server.name, 'p99').toFixed(2)} ms`)
    : [always, everysec, weirs].map(rate => `${thousands(rate)}/s`);
  const costs = what => all(what).map(us => us.toFixed(0)).join(', ');
  console.log(`| ${[name, ...shown, percent(weirs, always), percent(weirs, everysec), costs('server'), costs('client')].join(' | ')} |`);
}
console.log(`\n${JSON.stringify({ syncs, rounds: Number(options.rounds), scale: Number(options.scale), seen })}`);
