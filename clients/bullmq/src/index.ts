// BullMQ on Weir.
//
//     import { withBackend } from 'bullmq';
//     import { createWeirBackend } from 'weir-bullmq';
//
//     const { Queue, Worker } = withBackend(createWeirBackend);

import type { BackendFactory } from 'bullmq';
import { WeirQueueBackend } from './backend.js';
import { Server } from './server.js';
import type { WeirConnectionOptions } from './server.js';

/** Makes BullMQ's classes use Weir: for `withBackend` or `setDefaultBackendFactory`. */
export const createWeirBackend: BackendFactory<WeirQueueBackend, WeirConnectionOptions> = (name, options, purpose) =>
  new WeirQueueBackend(Server.of(options.connection ?? {}), name, options, purpose);

export { WeirQueueBackend } from './backend.js';
export type { WeirOptions } from './backend.js';
export { NotSupportedError, WeirConnectionError, WeirError } from './errors.js';
export type { WeirConnectionOptions } from './server.js';
