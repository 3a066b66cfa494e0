// Runs all of it: Weir, the web server, its consumers, and users who do something. One consumer is killed in the middle.
//
//   npm start                       prints what happens
//   npm start -- --report FILE      and writes all that was published, handled and started
//
// ACTIONS says how many there are.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { ask, busiest, each, folder, leave, say, start, startWeir, until } from '../stage.mjs';
import { CRM, declare, TOPIC_ARN } from './topology.mjs';

const { report } = parseArgs({ options: { report: { type: 'string' } } }).values;
const actions = Array.from({ length: Number(process.env.ACTIONS ?? 900) }, (_, n) => action(n));
const published = [];

try {
  const weir = await startWeir();
  await declare(weir);
  const environment = {
    WEIR_URL: weir,
    TOPIC_ARN,
    HISTORY_DB: join(folder, 'history.db'),
    ANALYTICS_DB: join(folder, 'analytics.db'),
  };
  const run = (...command) => start(import.meta.url, command, environment);
  const web = await run('node', 'web.mjs');
  const history = await run('python3', 'history.py');
  const analytics = await run('python3', 'analytics.py');
  const notifications = await run('node', 'notifications.mjs');
  let contacts = await run('node', 'contacts.mjs');

  const handled = {
    history: () => history.said.flatMap(line => line.actions ?? []),
    analytics: () => analytics.said.flatMap(line => line.actions ?? []),
    notifications: () => notifications.said.flatMap(line => line.action ?? []),
  };
  const others = () => Object.entries(handled).map(([name, list]) => `${name} ${list().length}`).join(', ');
  const counters = async queue => (await ask('GET', `${weir}/v1/queues/${queue}`)).counters;
  // A consumer is done when nothing waits in its queue and nothing is under way.
  const done = async queue => {
    const { ready, delayed, leased } = await counters(queue);
    return ready + delayed + leased === 0;
  };
  const act = async some => {
    published.push(...(await each(some, 16, one => publish(web.url, one))));
    say(`${published.length} actions are published`);
  };
  const third = Math.ceil(actions.length / 3);

  await act(actions.slice(0, third));
  await until(() => contacts.said.length > CRM.max);
  await contacts.end('SIGKILL');
  const before = contacts.said;
  say('contacts is killed');

  await act(actions.slice(third, 2 * third));
  await until(async () => (await Promise.all(Object.keys(handled).map(done))).every(Boolean));
  const backlog = await counters('contacts');
  const whileDown = { published: published.length, waiting: backlog.ready + backlog.leased };
  for (const [name, list] of Object.entries(handled)) {
    whileDown[name] = list();
  }
  say(`the others have handled theirs: ${others()}; ${whileDown.waiting} wait for contacts`);

  contacts = await run('node', 'contacts.mjs');
  say('contacts is back');
  await act(actions.slice(2 * third));
  await until(async () => (await Promise.all([...Object.keys(handled), 'contacts'].map(done))).every(Boolean));

  const dead = (await ask('GET', `${weir}/v1/queues/notifications-dead/jobs`)).jobs.map(job => job.data.id);
  const reconciled = [...before, ...contacts.said].filter(line => line.action);
  const jobs = [...new Set(reconciled.map(line => line.job))];
  const starts = await each(jobs, 16, async id => (await ask('GET', `${weir}/v1/queues/contacts/jobs/${id}`)).started_at_ms);
  const batches = analytics.said.filter(line => line.actions).map(line => line.actions.length);
  const most = busiest(starts, CRM.per_ms);

  say(`all is handled: ${others()}, contacts ${jobs.length}`);
  say(`analytics asked for ${batches.length} batches, the longest of ${Math.max(...batches)}; ${dead.length} mails could not be sent`);
  say(`contacts were started ${most} at most within any ${CRM.per_ms} ms; the CRM takes ${CRM.max}`);
  if (report) {
    const lists = Object.fromEntries(Object.entries(handled).map(([name, list]) => [name, list()]));
    const contactsOf = reconciled.map(line => line.action);
    await writeFile(report, JSON.stringify({ published, ...lists, contacts: contactsOf, starts, batches, dead, whileDown, CRM }));
  }
  process.exitCode = most > CRM.max ? 1 : 0;
} finally {
  await leave();
}

/** What a user does: mostly learning. */
function action(n) {
  const mail = n % 30 === 4 ? 'teacher@school.example' : `student-${n}@example.com`;
  switch (n % 10) {
    case 0:
      return { event: 'signed-up', mail };
    case 1:
      return { event: 'profile-changed', mail, city: 'Delft' };
    case 2:
      return { event: 'course-bought', mail: n % 300 === 2 ? 'mistyped' : mail, course: 'hydraulics', price: 49 };
    case 3:
      return { event: 'course-bought', mail, course: 'a first look', price: 0 };
    default:
      return { event: 'lesson-finished', mail, lesson: n };
  }
}

/** Does it, and returns it with the id that it was given. */
async function publish(url, one) {
  const { id } = await ask('POST', `${url}/actions`, one);
  return { id, ...one };
}
