// One request, and its whole answer as text. A stream for each answer, as `Pool.request` makes it, would cost half as
// much again of the processor as sending and reading does.

import type { Dispatcher } from 'undici';

export interface Answer {
  status: number;
  retryAfter: string | string[] | undefined;
  text: string;
}

export function exchange(pool: Dispatcher, request: Dispatcher.DispatchOptions, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const answer: Answer = { status: 0, retryAfter: undefined, text: '' };
    const chunks: Buffer[] = [];
    let controller: Dispatcher.DispatchController | undefined;
    const abort = (): void => {
      controller?.abort(signal?.reason as Error);
      // It may still wait for a connection.
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    const ended = (): void => signal?.removeEventListener('abort', abort);
    pool.dispatch(request, {
      onRequestStart(started) {
        controller = started;
        chunks.length = 0;
        if (signal?.aborted) {
          started.abort(signal.reason as Error);
        }
      },
      onResponseStart(_controller, status, headers) {
        answer.status = status;
        answer.retryAfter = headers['retry-after'];
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        ended();
        answer.text = Buffer.concat(chunks).toString();
        resolve(answer);
      },
      onResponseError(_controller, error) {
        ended();
        reject(error);
      },
    });
  });
}
