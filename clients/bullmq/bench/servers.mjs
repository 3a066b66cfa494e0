// The servers that are compared, each a process with a folder of its own on the same disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket, createServer } from 'node:net';
import { join } from 'node:path';

/** How long a server may take to answer first. */
const PATIENCE_MS = 30_000;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(port, process) {
  for (const until = Date.now() + PATIENCE_MS; ; ) {
    const open = await new Promise(resolve => {
      const socket = new Socket();
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)).connect(port, '127.0.0.1');
      socket.once('connect', () => socket.destroy());
    });
    if (open) {
      return;
    }
    if (process.exitCode !== null || Date.now() > until) {
      throw new Error(`${process.spawnfile} does not answer`);
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

async function start(name, kind, place, command) {
  const dir = await mkdtemp(join(place, 'weir-bench-'));
  const port = await freePort();
  const [program, ...args] = command(dir, port);
  const process = spawn(program, args, { stdio: 'ignore' });
  await once(process, 'spawn');
  await answers(port, process);
  return {
    name,
    kind,
    pid: process.pid,
    connection: kind === 'redis' ? { host: '127.0.0.1', port, maxRetriesPerRequest: null } : { url: `http://127.0.0.1:${port}` },
    async stop() {
      const exit = once(process, 'exit');
      process.kill('SIGKILL');
      await exit;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Redis with an append-only file that is synced as `fsync` says: always or everysec. */
export const redis = (fsync, place) =>
  start(`redis ${fsync}`, 'redis', place, (dir, port) => [
    'redis-server', '--port', port, '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'yes', '--appendfsync', fsync,
  ].map(String));

/** Weir as it is when nothing is configured: synced before every answer. */
export const weir = place =>
  start('weir', 'weir', place, (dir, port) => [process.env.WEIR_BIN ?? 'weir', 'serve', '--data-dir', join(dir, 'data'), '--listen', `127.0.0.1:${port}`]);
