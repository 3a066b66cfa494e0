// One workload in a process of its own, so that its processor time is the client's alone:
//
//   node bench/client.mjs KIND CONNECTION SERVER_PID WORKLOAD SCALE
//
// KIND is redis or weir, CONNECTION the option `connection` as JSON. What was measured is printed as JSON.

import { readFileSync } from 'node:fs';
import * as bullmq from 'bullmq';
import { createWeirBackend } from 'weir-bullmq';
import { workloads } from './workloads.mjs';

const [kind, connection, server, name, scale] = process.argv.slice(2);
const { Queue, Worker } = kind === 'weir' ? bullmq.withBackend(createWeirBackend) : bullmq;

/** Processor time of the server in µs, by the kernel's count of ticks of 10 ms. */
function serverCpu() {
  const [user, system] = readFileSync(`/proc/${server}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
  return (user + system) * 10_000;
}

let runs = 0;

/** Runs a workload on a queue of its own. */
async function measured(workload) {
  runs += 1;
  const of = `bench-${process.pid}-${runs}`;
  const open = [];
  const keep = one => {
    one.on('error', error => {
      throw error;
    });
    open.push(one);
    return one;
  };
  const waits = [];
  let seen;
  await workload.run({
    queue: () => keep(new Queue(of, { connection: JSON.parse(connection) })),
    worker: (processor, options) => keep(new Worker(of, processor, { connection: JSON.parse(connection), ...options })),
    waited: ms => waits.push(ms),
    timed: async act => {
      const [began, own, others] = [performance.now(), process.cpuUsage(), serverCpu()];
      await act();
      const { user, system } = process.cpuUsage(own);
      const seconds = (performance.now() - began) / 1_000;
      seen = { rate: workload.jobs / seconds, client: (user + system) / workload.jobs, server: (serverCpu() - others) / workload.jobs };
    },
  });
  for (const one of open.reverse()) {
    await one.close();
  }
  waits.sort((one, other) => one - other);
  const share = part => waits[Math.floor((waits.length - 1) * part)];
  return waits.length === 0 ? seen : { ...seen, p50: share(0.5), p99: share(0.99) };
}

// What is compiled and opened once is no part of what a job costs.
await measured(workloads(0)[name]);
console.log(JSON.stringify(await measured(workloads(Number(scale))[name])));
process.exit();
