// The systems, what each can take, and the functions that need them.

import { ask } from '../stage.mjs';

export const systems = {
  crm: { takesMs: 20, window: { max: 100, per_ms: 2000 } },
  cms: { takesMs: 40, atOnce: 30 },
  db: { takesMs: 60, atOnce: 20 },
};

/** Percent of each limit that no campaign touches. */
const KEPT = 10;

export async function declare(weir, mailer) {
  for (const [name, { window, atOnce }] of Object.entries(systems)) {
    await ask('PUT', `${weir}/v1/limiters/${name}`, {
      windows: window ? [window] : [],
      concurrency: atOnce,
      reserves: [{ priority_max: 0, share: KEPT }],
    });
  }
  // A function is called only when there is a slot for the call in each system that it needs.
  await put('campaign', ['crm', 'cms', 'db']);
  await put('resets', ['crm', 'cms']);

  async function put(name, needs) {
    await ask('PUT', `${weir}/v1/functions/${name}`, {
      url: `${mailer}/${name}`,
      limiters: needs.map(limiter => ({ limiter })),
      // The mailer itself takes what comes: the limits are those of the systems behind it.
      concurrency: 100,
    });
  }
}

/** The shortest time that a campaign can take, from its first start to its last: the longest that a system makes it. */
export function optimumMs(mails) {
  const slowest = Math.max(...Object.values(systems).map(system => system.takesMs));
  return Math.max(
    ...Object.values(systems).map(({ window, atOnce }) =>
      window
        ? (Math.ceil(mails / share(window.max)) - 1) * window.per_ms
        : (Math.ceil(mails / share(atOnce)) - 1) * slowest,
    ),
  );
}

/** What of a limit is left to a campaign. */
function share(limit) {
  return limit - (limit * KEPT) / 100;
}
