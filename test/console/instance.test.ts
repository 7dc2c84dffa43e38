// instance.test.ts: one instance in the console: a real service with processes, ports and a health check, in a real browser.

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Browser } from 'playwright-core';
import { freePort } from '../support/free-port.ts';
import { chromium, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage, startProgram } from './browser.ts';

const serial = serialWith(chromium);
let browser: Browser;
let url: string;
let data: string;
const owner = fileOwner();

test.before(async () => {
  if (chromium === undefined || chromium === '') return;
  data = await tempDir(owner);
  const port = await freePort();
  const flags = [
    // So little is free on no disk: what has ended goes at once.
    ...['--sandbox-free-percent', '99', '--sandbox-look-ms', '100'],
    ...['--agent-resources', `cpus:4;mem:4000;disk:4000;ports:[${port}-${port}]`],
  ];
  [browser, { url }] = await Promise.all([openBrowser(), startProgram(owner, data, flags)]);
  owner.teardown(() => browser.close());
});
test.after.always(owner.clean);

const submit = async (job: object) => {
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(job),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
};

serial('the page of an instance tells its processes, its health, its ports and what it went through', async t => {
  const sick = join(data, 'is-sick');
  await submit({
    role: 'www',
    environment: 'test',
    name: 'web',
    service: true,
    mem: 32,
    retry_delay_ms: 10,
    kill_grace_ms: 5_000,
    ports: ['http'],
    processes: [
      { name: 'prepare', command: 'echo prepared' },
      { name: 'serve', command: 'echo serving on {{thermos.ports[http]}}; exec sleep 1000' },
    ],
    health_check: {
      checker: { type: 'shell', command: `test ! -e ${sick}` },
      interval_ms: 200,
      initial_interval_ms: 0,
      timeout_ms: 20_000,
    },
  });
  const { page, complaints } = await openPage(t, browser, `${url}/#/jobs/www/test/web`);
  await page.locator('.live-runs .badge.running').waitFor();
  await page.getByRole('link', { name: 'Details' }).click();
  const life = page.getByRole('dialog', { name: 'Instance 0 of web' });
  const health = life.locator('section', { has: page.getByRole('heading', { name: 'Health' }) });
  await health.getByText('Well', { exact: true }).waitFor();
  await health.locator('.checks .good').first().waitFor();
  // What it uses, the executor's hundred beside its own: drawn as soon as there are two points.
  const memory = life.locator('.usage figure', { has: page.getByText('Memory', { exact: true }) });
  await memory.getByText(/^\d[\d.]* MB of 128 MB$/).waitFor();
  await memory.locator('svg .used[points*=" "]').waitFor();
  await life.locator('.usage').getByText('limits are the job’s and its executor’s together').waitFor();
  const process = (name: string) => life.locator('.processes li', { has: page.getByText(name, { exact: true }) });
  await process('prepare').getByText('Succeeded').waitFor();
  await process('serve').getByText('Running').waitFor();
  t.regex((await life.locator('dd').textContent()) ?? '', /:\d+$/);
  const events = async () => await life.locator('.story li strong').allTextContents();
  t.deepEqual(await events(), ['Runs', 'Has a place', 'Waits for a place']);

  // Snoozed it may be sick, and woken it is found out: another attempt, and why.
  await health.getByRole('button', { name: 'Snooze' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Snooze' }).click();
  await health.locator('.badge').getByText('Snoozed', { exact: true }).waitFor();
  await page
    .locator('.live-runs .why')
    .getByText(/snoozed by .* until/)
    .waitFor();
  await writeFile(sick, '');
  await health.getByRole('button', { name: 'Wake' }).click();
  await life.locator('.story .failed').first().waitFor();
  await rm(sick);
  await life
    .locator('.story')
    .getByText(/unhealthy/)
    .first()
    .waitFor();
  await health.getByText('Well', { exact: true }).waitFor();
  const told = await events();
  t.deepEqual(told.slice(-4), ['Failed', 'Runs', 'Has a place', 'Waits for a place']);

  await process('serve').getByRole('link', { name: 'Log' }).click();
  await page
    .locator('pre.output')
    .getByText(/^serving on \d+/)
    .waitFor();
  await page.getByRole('tab', { name: 'Instance' }).click();
  await life.locator('.story').waitFor();
  await page.keyboard.press('Escape');
  await life.waitFor({ state: 'detached' });
  t.deepEqual(complaints, []);
});

serial('the page of sandboxes tells which went, whose they were and why', async t => {
  await submit({ role: 'www', environment: 'test', name: 'once', command: 'head -c 300000 /dev/zero' });
  const { page, complaints } = await openPage(t, browser, `${url}/#/jobs/www/test/once`);
  await page.locator('.finished .succeeded, .finished li').first().waitFor();
  await page.goto(`${url}/#/sandboxes`);
  const row = page.locator('.sandboxes tbody tr', { has: page.getByText('www/test/once') });
  await until('its sandbox to go', async () => {
    await page.reload();
    await page.locator('.sandboxes h2').first().waitFor();
    return (await row.count()) > 0;
  });
  t.regex((await row.textContent()) ?? '', /instance 0, attempt 1the disk was filling up.*29\d kB|30\d kB/);
  t.regex((await page.locator('.sandboxes').textContent()) ?? '', /as long as 99 % of the disk are free/);
  t.deepEqual(complaints, []);
});
