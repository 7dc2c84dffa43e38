// letters.test.ts: the console's page of what people were told: a real program, a real receiver, a real browser.

import { join } from 'node:path';
import test from 'ava';
import type { Browser } from 'playwright-core';
import { type MailServer, mailServer } from '../support/mail-server.ts';
import { chromium, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage, startProgram } from './browser.ts';

const serial = serialWith(chromium);
let browser: Browser;
let url: string;
let mail: MailServer;
const owner = fileOwner();

test.before(async () => {
  if (chromium === undefined || chromium === '') return;
  const data = await tempDir(owner);
  mail = await mailServer(owner);
  const flags = [
    ...[
      '--mail-server',
      `127.0.0.1:${mail.port}`,
      '--mail-from',
      'horae@example.com',
      '--notification-prefix',
      'north',
    ],
    ...[
      '--notify-gather-ms',
      '50',
      '--notify-interval-ms',
      '50',
      '--notify-retry-ms',
      '600000',
      '--notify-retry-ms-max',
      '600000',
    ],
  ];
  [browser, { url }] = await Promise.all([openBrowser(), startProgram(owner, join(data, 'data'), flags)]);
  owner.teardown(() => browser.close());
});
test.after.always(owner.clean);

const submit = async (name: string, to: string) => {
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      role: 'www',
      environment: 'test',
      name,
      command: 'echo "no <b>disk</b>" >&2; exit 3',
      owner: to,
    }),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
};

serial('letters are seen on their way, given up and delivered, and can be tried again or forgotten', async t => {
  mail.misbehave = stage => (stage === 'to' ? { reply: '550 no such mailbox' } : undefined);
  await submit('load', 'ops@example.com');
  const { page, complaints } = await openPage(t, browser, `${url}/#/notifications`);
  const dead = page.locator('.letter', { hasText: "job 'www/test/load' failed" });
  await dead.waitFor();
  t.regex(
    (await dead.textContent()) ?? '',
    /\[north\] \[Horae\].*Mail to ops@example\.com: 1 attempt, and the last came to: .*550/,
  );
  await dead.locator('summary').click();
  await dead.getByText('no <b>disk</b>').waitFor();
  const shot = process.env.HORAE_SCREENSHOT;
  if (shot !== undefined) await page.screenshot({ path: shot });
  await page.locator('.undelivered', { hasText: '1' }).waitFor();
  t.is(await page.getByRole('tab', { name: 'Given up (1)' }).getAttribute('aria-selected'), 'true');

  mail.misbehave = stage => (stage === 'to' ? { reply: '451 later' } : undefined);
  await submit('later', 'ops@example.com');
  await page.getByRole('tab', { name: /On their way/ }).click();
  const waiting = page.locator('.letter', { hasText: "job 'www/test/later' failed" });
  await waiting.getByText('451').waitFor();
  mail.misbehave = undefined;
  await waiting.getByRole('button', { name: 'Try now' }).click();
  await waiting.waitFor({ state: 'detached' });
  await until('the mail', () => mail.mails.some(one => one.subject.includes('later')));

  await page.getByRole('tab', { name: 'Delivered' }).click();
  await page.locator('.letter', { hasText: "job 'www/test/later' failed" }).waitFor();
  await page.getByRole('tab', { name: /Given up/ }).click();
  await dead.getByRole('button', { name: 'Forget' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Forget it' }).click();
  await dead.waitFor({ state: 'detached' });
  await page.getByText('Every letter has been delivered').waitFor();
  await page.locator('.undelivered').waitFor({ state: 'hidden' });
  t.deepEqual(complaints, []);
});
