// A proxy on loopback that passes bytes on until it is told to misbehave.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Proxy {
  #server;
  #pairs = new Set();
  #silent = false;

  /** A proxy in front of a port, on a port of its own. */
  static async before(port) {
    const proxy = new Proxy();
    proxy.#server = createServer(client => proxy.#pass(client, connect(port, '127.0.0.1')));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port() {
    return this.#server.address().port;
  }

  #pass(client, server) {
    const pair = [client, server];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      pair.forEach(socket => socket.destroy());
    };
    for (const [one, other] of [pair, [server, client]]) {
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', end).on('close', end);
      if (this.#silent) {
        one.pause();
      }
    }
  }

  /** Breaks about this share of the connections, in the middle of whatever they carry. */
  cut(share) {
    const broken = [...this.#pairs].filter(() => Math.random() < share);
    for (const pair of broken) {
      pair.forEach(socket => socket.resetAndDestroy());
    }
    return broken.length;
  }

  /** Passes nothing on, while connections stay open, until what it returns is called. */
  silence() {
    this.#silent = true;
    [...this.#pairs].flat().forEach(socket => socket.pause());
    return () => {
      this.#silent = false;
      [...this.#pairs].flat().forEach(socket => socket.resume());
    };
  }

  close() {
    this.cut(1);
    this.#server.close();
  }
}
