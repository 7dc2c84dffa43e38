// update.test.ts: the page of a service while it is updated, in a real browser.

import { startHorae } from '../program/horae.ts';
import { chromium, testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { openBrowser, openPage } from './browser.ts';

const job = { role: 'www', environment: 'test', name: 'web', service: true, instances: 2, cpus: 0.1, mem: 16 };
const path = '/api/v1/jobs/www/test/web';

testWith(chromium)('the page of a service shows its update, how far it is, and turns it back on a word', async t => {
  t.timeout(5 * 60_000);
  const { api } = await startHorae(t, await tempDir(t));
  const ask = async (method: string, where: string, body: object) => {
    const answer = await api.request(method, where, body);
    t.true(answer.status < 300, answer.text);
  };
  await ask('POST', '/api/v1/jobs', { ...job, command: 'exec sleep 1000' });
  const browser = await openBrowser();
  t.teardown(() => browser.close());
  const { page, complaints } = await openPage(t, browser, `${api.url}/#/jobs/www/test/web`);
  const card = page.locator('.card.update');
  await page.locator('.live-runs .badge.running').first().waitFor();
  t.true(await card.isHidden());
  // Watched for an hour: it stays at its first instance until somebody says something.
  const wish = { job: { ...job, command: 'exec sleep 2000' }, watch_ms: 3_600_000, message: '<b>bold</b> plans' };
  await ask('POST', `${path}/updates`, wish);
  await card.getByText('Rolling forward').first().waitFor();
  await card.getByText('0 of 2 instances, under way: #0').waitFor();
  await card.getByText('Instance 0 is being updated').waitFor();
  await card.locator('.line', { hasText: '<b>bold</b> plans' }).waitFor();
  await card.getByRole('button', { name: 'Pause' }).click();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByRole('button', { name: 'Roll back' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await card.getByText('Instance 0 is being rolled back').waitFor();
  await card.getByRole('button', { name: 'Abort' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Abort update' }).click();
  await card.locator('strong', { hasText: 'Aborted' }).first().waitFor();
  await card.getByRole('button', { name: 'Abort' }).waitFor({ state: 'hidden' });
  t.deepEqual(complaints, []);
});
