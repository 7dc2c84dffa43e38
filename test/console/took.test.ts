// took.test.ts: retries, time-outs, call-backs and how long runs take, on the page of a real job.

import { join } from 'node:path';
import test from 'ava';
import type { Browser } from 'playwright-core';
import type { JobSubmission } from '../../actors/model/job.ts';
import { chromium, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage, startProgram } from './browser.ts';

const serial = serialWith(chromium);
let browser: Browser;
let url: string;
const owner = fileOwner();

test.before(async () => {
  if (chromium === undefined || chromium === '') return;
  const data = await tempDir(owner);
  [browser, { url }] = await Promise.all([openBrowser(), startProgram(owner, data)]);
  owner.teardown(() => browser.close());
});
test.after.always(owner.clean);

const post = async (path: string, body?: object) => {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
};
const submit = (name: string, more: Partial<JobSubmission>) =>
  post('/api/v1/jobs', { role: 'www', environment: 'test', name, ...more });
const path = (name: string) => `/api/v1/jobs/www/test/${name}`;
const pageOf = (name: string) => `${url}/#/jobs/www/test/${name}`;

serial('a failure that is to be tried again says which retry comes, of how many, and when', async t => {
  await submit('again', { command: 'exit 3', retries: 2, retry: { delay_ms: 3_600_000, factor: 1 } });
  const { page, complaints } = await openPage(t, browser, pageOf('again'));
  await page
    .locator('.live-runs .why')
    .getByText(/^retry 1 of 2 at .*\d\d:\d\d/)
    .waitFor();
  t.deepEqual(complaints, []);
});

serial('a run that takes too long is ended, and the page says which time-out it was', async t => {
  await submit('slow', { command: 'sleep 1000', timeouts: { run_ms: 300 }, kill_grace_ms: 0 });
  const { page, complaints } = await openPage(t, browser, pageOf('slow'));
  await page.locator('.finished').getByText('not ended within 300 ms').waitFor();
  t.deepEqual(complaints, []);
});

serial('an async run awaits its call-back on the page, until somebody reports the end of its work', async t => {
  await submit('afar', { command: 'echo "$HORAE_TASK_ID"', async: true });
  const { page, complaints } = await openPage(t, browser, pageOf('afar'));
  await page.locator('.live-runs').getByText('Awaiting call-back').waitFor();
  await page.locator('.live-runs .why').getByText('waits for word that its work has').waitFor();
  const runs = async () => {
    const { runs: all } = (await (await fetch(`${url}${path('afar')}/runs`)).json()) as {
      runs: { state: string; run: string; instances: { reason?: object }[] }[];
    };
    return all[0]!;
  };
  // Its command was given the id by which word of it is sent.
  const { run } = await runs();
  const told = await (await fetch(`${url}${path('afar')}/runs/${run}/logs/0/stdout`)).text();
  await post(`/api/v1/tasks/${encodeURIComponent(told.trim())}/complete`, { status_code: 0 });
  await page.locator('.finished .badge').getByText('Succeeded').waitFor();
  t.like((await runs()).instances[0], { reason: { code: 'called-back', status_code: 0 } });
  t.deepEqual(complaints, []);
});

serial('a job that has run tells how long its runs took: the latest as a strip, all of them in figures', async t => {
  const command =
    'n=$(cat "$STATE" 2>/dev/null || echo 0); echo $((n+1)) > "$STATE"; sleep 0.$((n % 4)); [ $((n % 5)) != 4 ]';
  const state = join(await tempDir(owner), 'count');
  await submit('often', { command, env: { STATE: state }, cron: '0 0 29 2 *' });
  const { page, complaints } = await openPage(t, browser, pageOf('often'));
  for (let n = 0; n < 6; n++) {
    await post(`${path('often')}/runs`);
    await until(`run ${n} to end`, async () => {
      const { successes, failures } = (await (await fetch(`${url}${path('often')}/statistics`)).json()) as {
        successes: number;
        failures: number;
      };
      return successes + failures === n + 1;
    });
  }
  await page.locator('.strip li').nth(5).waitFor();
  t.is(await page.locator('.strip li.failed').count(), 1);
  t.is(await page.locator('.strip li.succeeded').count(), 5);
  const figures = await page.locator('dl.durations').innerText();
  for (const words of ['half within', '95 % within', '99 % within', 'longest', 'on average'])
    t.true(figures.includes(words), words);
  t.regex(figures, /\d+ ms/);
  t.deepEqual(complaints, []);
});
