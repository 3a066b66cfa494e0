// Who gets what, and how fast. To say the same again changes nothing.

import { ask } from '../stage.mjs';

export const TOPIC_ARN = 'arn:aws:sns:us-east-1:000000000000:actions';

/** The CRM behind the contacts takes no more than this. */
export const CRM = { max: 40, per_ms: 2000 };

const consumers = {
  // Everything that happened.
  history: {},

  // What changes a contact, at the speed of the CRM. A contact that the CRM refuses is tried five times.
  contacts: {
    filter: { event: ['signed-up', 'profile-changed'] },
    queue: { limiters: [{ limiter: 'crm' }], retry: { attempts_max: 5, backoff: { exponential_ms: 200 } } },
  },

  // A mail for each course that costs something. What cannot be sent in three attempts is for a person to look at.
  notifications: {
    filter: { event: ['course-bought'], price: [{ numeric: ['>', 0] }] },
    filter_scope: 'data',
    queue: { dead_letters: { queue: 'notifications-dead', leases_max: 3 } },
  },

  // Everything but the actions of our own people.
  analytics: {
    filter: { mail: [{ 'anything-but': { suffix: '@school.example' } }] },
    filter_scope: 'data',
  },
};

export async function declare(weir) {
  await ask('PUT', `${weir}/v1/limiters/crm`, { windows: [CRM] });
  await ask('PUT', `${weir}/v1/queues/notifications-dead`, {});
  await ask('PUT', `${weir}/v1/topics/actions`, {});
  for (const [name, { queue = {}, ...settings }] of Object.entries(consumers)) {
    await ask('PUT', `${weir}/v1/queues/${name}`, queue);
    await ask('POST', `${weir}/v1/topics/actions/subscriptions`, { queue: name, settings });
  }
}
