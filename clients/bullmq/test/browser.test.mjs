// bull-board in a browser: what a person sees of queues on Weir, and does with them.

import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';
import { serveBoard } from './board.mjs';
import { eventually, gated, shared, told, world } from './weir.mjs';

const weir = await shared();
const browser = await chromium.launch({
  executablePath: installed('chromium', 'chromium-browser', 'google-chrome'),
  // Chromium's own sandbox refuses to run for root, as in a container.
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
after(() => browser.close());

/** The first of some programs that is there. */
function installed(...programs) {
  const candidates = programs.flatMap(program => process.env.PATH.split(delimiter).map(dir => join(dir, program)));
  const found = candidates.find(path => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  assert.ok(found, 'no Chromium found; `tests/setup chromium` installs it');
  return found;
}

/** A page of a board over queues. With WEIR_SCREENSHOTS=DIR, `look` leaves a picture there. */
async function open(t, ...queues) {
  const url = await serveBoard(t, queues);
  const page = await browser.newPage();
  t.after(() => page.close());
  const broken = [];
  page.on('pageerror', error => broken.push(error.message));
  t.after(() => assert.deepEqual(broken, []));
  // Fonts and the like from elsewhere.
  await page.route(to => to.origin !== url, route => route.abort());
  return {
    page,
    go: path => page.goto(url + path),
    look: name => process.env.WEIR_SCREENSHOTS && page.screenshot({ path: join(process.env.WEIR_SCREENSHOTS, `${name}.png`) }),
    /** The tab of a state, with as many jobs as it says. */
    tab: (state, count) => page.getByRole('main').getByRole('link', { name: `${state} ${count}`, exact: true }),
    card: name => page.getByRole('main').locator('[class*=card]').filter({ has: page.getByRole('link', { name }) }),
  };
}

/** Clicks on a button that says what it does only when the pointer rests on it, and confirms. */
async function act(page, button, name) {
  await button.hover();
  await page.locator('[data-base-ui-portal]').getByText(name, { exact: true }).waitFor();
  await button.click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Confirm' }).click();
}

test('in a browser, bull-board shows the queues and their jobs in each state', async t => {
  let finish = () => {};
  t.after(() => finish());
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  const { processor, began } = gated();
  const working = worker(async job => {
    assert.notEqual(job.name, 'breaks', 'no paint left');
    return job.name === 'runs' ? processor() : job.name;
  });
  const both = Promise.all([told(working, 'completed'), told(working, 'failed')]);
  await paint.add('done', {});
  await paint.add('breaks', {});
  await both;
  await paint.add('runs', {});
  finish = await began(1);
  await paint.add('waits', {});
  await paint.add('urgent', {}, { priority: 1 });
  await paint.add('later', {}, { delay: 600_000 });
  const other = queue({}, `${name}-other`);
  const { page, go, look, tab, card } = await open(t, paint, other);
  await go('/');
  const queues = page.getByRole('navigation').getByRole('link');
  await queues.nth(1).waitFor();
  assert.deepEqual(await queues.allTextContents(), [name, `${name}-other`]);
  await look('queues');
  await queues.first().click();
  for (const [state, job] of [
    ['ACTIVE', 'runs'], ['WAITING', 'waits'], ['PRIORITIZED', 'urgent'], ['COMPLETED', 'done'], ['FAILED', 'breaks'], ['DELAYED', 'later'],
  ]) {
    await tab(state, 1).click();
    await card(job).waitFor();
    assert.equal(await page.getByRole('main').locator('[class*=card]').count(), 1, state);
  }
});

test('in a browser, bull-board shows what a job was given and what it said', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  const working = worker(async job => {
    await job.log('opening the pot');
    await job.updateProgress({ painted: 'doors' });
    throw new Error('no paint left');
  });
  const failed = told(working, 'failed');
  const job = await paint.add('cars', { color: 'blue' }, { attempts: 1 });
  await failed;
  const { page, go, look } = await open(t, paint);
  await go(`/queue/${name}/${job.id}?status=failed`);
  const shown = async tab => {
    await page.getByRole('tab', { name: tab }).click();
    return page.getByRole('tabpanel', { name: tab });
  };
  await (await shown('Error')).getByText('no paint left').waitFor();
  await look('job');
  await (await shown('Data')).getByText('blue').waitFor();
  await (await shown('Options')).getByText('attempts').waitFor();
  await (await shown('Progress')).getByText('doors').waitFor();
  await (await shown('Logs')).getByText('opening the pot').waitFor();
});

test('in a browser, a failed job is retried and a delayed one promoted', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  let broken = true;
  const working = worker(async () => assert.ok(!broken));
  const failed = told(working, 'failed');
  await paint.add('breaks', {});
  await paint.add('later', {}, { delay: 600_000 });
  await failed;
  broken = false;
  const { page, go, look, tab, card } = await open(t, paint);
  for (const [state, job, action, left] of [['failed', 'breaks', 'Retry', 1], ['delayed', 'later', 'Promote', 2]]) {
    await go(`/queue/${name}?status=${state}`);
    const done = told(working, 'completed');
    await act(page, card(job).getByRole('listitem').getByRole('button').first(), action);
    assert.equal((await done)[0][0].name, job);
    await tab('COMPLETED', left).waitFor();
    await page.getByText(`No ${state} jobs in this queue.`).waitFor();
    await look(action);
  }
});

test('in a browser, a queue is paused and resumed', async t => {
  const { queue, worker, name } = world(t, weir);
  const paint = queue();
  const working = worker(async () => {});
  await working.waitUntilReady();
  const { page, go, look, tab } = await open(t, paint);
  await go(`/queue/${name}`);
  const choose = async action => {
    await page.getByRole('main').locator('button[aria-haspopup=menu]').click();
    await page.getByRole('menuitem', { name: action, exact: true }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Confirm' }).click();
  };
  await choose('Pause');
  await eventually(() => paint.isPaused());
  await paint.add('waits', {});
  await tab('WAITING', 1).waitFor();
  await look('paused');
  const done = told(working, 'completed');
  await choose('Resume');
  await done;
  assert.equal(await paint.isPaused(), false);
  await tab('COMPLETED', 1).waitFor();
});
