// Names: BullMQ's prefix, queue and keys, and Weir's queue names.

/** BullMQ's own prefix, which Weir's queue names do without. */
export const PREFIX = 'bull';

/** Where a queue is, in BullMQ's words. */
export class Place {
  constructor(
    readonly prefix: string,
    readonly name: string,
  ) {}

  /** `prefix:name`: BullMQ's name of the queue over all prefixes. */
  get qualified(): string {
    return `${this.prefix}:${this.name}`;
  }

  /** The queue's name in Weir. */
  get queue(): string {
    return queueOf(this.qualified);
  }

  key(type: string): string {
    return `${this.qualified}:${type}`;
  }

  /** The limiter of the queue: worker's and global rate limits, and the global concurrency. */
  get limiter(): string {
    return `bullmq:${this.queue}`;
  }

  /** The queue whose jobs are the records of this queue's job schedulers. */
  get schedulers(): string {
    return `${PREFIX}:schedulers:${this.queue}`;
  }
}

/** Weir's name of a queue, from BullMQ's qualified one. */
export function queueOf(qualified: string): string {
  return qualified.startsWith(`${PREFIX}:`) ? qualified.slice(PREFIX.length + 1) : qualified;
}

/** BullMQ's qualified name of a queue, from Weir's. */
export function qualifiedOf(queue: string): string {
  return queue.includes(':') ? queue : `${PREFIX}:${queue}`;
}

/** The parts of BullMQ's key of a job. */
export function parseKey(key: string): { prefix: string; queueName: string; id: string } {
  const [prefix = '', queueName = ''] = key.split(':', 2);
  return { prefix, queueName, id: key.slice(prefix.length + queueName.length + 2) };
}
