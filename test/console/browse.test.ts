// browse.test.ts: a sandbox in the console: real files with odd names and odd contents, in a real browser.

import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Browser, Page } from 'playwright-core';
import type { Child } from '../support/child.ts';
import { chromium, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage, startProgram } from './browser.ts';

const serial = serialWith(chromium);
/** Where pictures of what was seen are left, for whoever wants to look at them. */
const pictures = process.env.HORAE_TEST_PICTURES;
const markup = `<img src=x onerror="globalThis.pwned=1">`;
const command = [
  'mkdir -p sub/deeper many',
  'printf "\\177ELF\\000\\000\\000\\377\\376" > sub/binary',
  'printf "below" > sub/deeper/note',
  'printf "of two lines" > "$(printf "two\\nlines")"',
  'printf "of no text" > "$(printf "no\\377text")"',
  'printf "with a bar" > "back\\\\slash"',
  'printf "turned" > "$(printf "exe.\\342\\200\\256gpj")"',
  `printf "harmless" > '${markup}'`,
  'ln -s /etc out && ln -s /etc/passwd stolen && ln -s nowhere dangling && ln -s sub within && ln -s sub/deeper/note near',
  'mkfifo pipe',
  // A character lies across the border of the first two parts.
  'head -c 131071 /dev/zero | tr "\\0" a > long && printf "\\303\\251" >> long && printf "the second part\\n" >> long',
  'for n in $(seq 1100); do : > many/$n; done',
  'echo "try $HORAE_ATTEMPT" > which',
  'touch ready',
  'test "$HORAE_ATTEMPT" = 2 || exit 3',
  'exec sleep 1000',
].join(' && ');

let browser: Browser;
let program: Child;
let url: string;
let data: string;
let sandbox: string;
let run: string;
const owner = fileOwner();

test.before(async () => {
  if (chromium === undefined || chromium === '') return;
  data = await tempDir(owner);
  [browser, { program, url }] = await Promise.all([openBrowser(), startProgram(owner, data)]);
  owner.teardown(() => browser.close());
  const job = { role: 'www', environment: 'test', name: 'files', service: true, mem: 32, retry_delay_ms: 0, command };
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(job),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  sandbox = await until('its second attempt', async () => {
    const found = await readdir(join(data, 'agent', 'sandboxes'), { recursive: true }).catch(() => []);
    for (const path of found.filter(each => each.endsWith('/ready'))) {
      const folder = join(data, 'agent', 'sandboxes', path, '..');
      if ((await readFile(join(folder, 'which'), 'utf8')) === 'try 2\n') return folder;
    }
    return undefined;
  });
  const { runs } = (await (await fetch(`${url}/api/v1/jobs/www/test/files/runs`)).json()) as {
    runs: { run: string }[];
  };
  run = runs[0]!.run;
});
test.after.always(owner.clean);

const hashOf = (what: string) => `${url}/#/jobs/www/test/files/runs/${encodeURIComponent(run)}/0/${what}`;
const named = (page: Page, name: string) =>
  page.locator('.folder tbody tr', { has: page.getByText(name, { exact: true }) });
const output = (page: Page) => page.locator('pre.output');
async function picture(t: ExecutionContext, page: Page, name: string): Promise<void> {
  if (pictures === undefined) return void t.pass();
  await mkdir(pictures, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(pictures, `${name}-${colorScheme}.png`), animations: 'disabled' });
  }
}

serial('folders are walked, and every name is shown and opened as what it is', async t => {
  const { page, complaints } = await openPage(t, browser, `${url}/#/jobs/www/test/files`);
  await page.getByRole('link', { name: 'Details' }).click();
  await page.getByRole('tab', { name: 'Files' }).click();
  await named(page, 'ready').waitFor();
  await picture(t, page, 'folder');
  const names = await page.locator('.folder tbody bdi').allTextContents();
  for (const name of ['two\\x0alines', 'no\\xfftext', 'back\\\\slash', 'exe.\\xe2\\x80\\xaegpj', markup, 'pipe', 'out'])
    t.true(names.includes(name), name);
  t.is(await page.locator('main img').count(), 0);
  t.is(await named(page, 'pipe').locator('a').count(), 0, 'what cannot be read is no link');
  t.is(await named(page, 'long').locator('td').nth(1).textContent(), '128 kB');
  t.regex((await named(page, 'long').locator('time').textContent()) ?? '', /ago|now/);

  for (const [name, content] of [
    ['two\\x0alines', 'of two lines'],
    ['no\\xfftext', 'of no text'],
    ['back\\\\slash', 'with a bar'],
    ['exe.\\xe2\\x80\\xaegpj', 'turned'],
    [markup, 'harmless'],
    ['near', 'below'],
  ] as const) {
    await named(page, name).locator('a').first().click();
    await output(page).getByText(content, { exact: true }).waitFor();
    t.is(await page.locator('.crumbs [aria-current]').textContent(), name);
    await page.locator('.crumbs').getByRole('link', { name: 'sandbox' }).click();
    await named(page, 'ready').waitFor();
  }

  await named(page, 'within').locator('a').click();
  await named(page, 'deeper').locator('a').click();
  await named(page, 'note').locator('a').first().click();
  await output(page).getByText('below', { exact: true }).waitFor();
  t.is(await page.locator('.crumbs').textContent(), 'sandbox/within/deeper/note');
  const kept = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download' }).click();
  t.is((await kept).suggestedFilename(), 'note');
  await page.goBack();
  await page.goBack();
  await named(page, 'binary').waitFor();

  for (const name of ['out', 'stolen', 'dangling']) {
    await page.goto(hashOf(`link/${name}`));
    await page.getByRole('heading', { name: 'This link is not followed' }).waitFor();
    t.is(await page.getByText('root:').count(), 0);
  }
  await picture(t, page, 'refused');
  await page.goto(hashOf('file/nothing'));
  await page.getByText('There is no "nothing" in this sandbox (any more)').waitFor();
  await page.goto(hashOf(`files/${encodeURIComponent('../..')}`));
  await page.getByText('There is no "../.." in this sandbox (any more)').waitFor();
  t.false(await page.evaluate(() => 'pwned' in globalThis));
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  t.deepEqual(complaints, []);
});

serial('a file is read part by part, followed as it grows, and shown as bytes when it is no text', async t => {
  const { page, complaints } = await openPage(t, browser, hashOf('file/long'));
  const note = page.locator('.log-note');
  await note.getByText('Bytes 0 to 131,072 of 131,089 (128 kB)').waitFor();
  t.true((await output(page).textContent())!.endsWith('aé'), 'a character across the border belongs to the first');
  await page.getByRole('button', { name: 'Part after' }).click();
  await note.getByText('Bytes 131,072 to 131,089').waitFor();
  t.is(await output(page).textContent(), 'the second part\n');
  t.true(await page.getByRole('button', { name: 'Last part' }).isDisabled());
  await page.getByRole('button', { name: 'First part' }).click();
  await note.getByText('Bytes 0 to').waitFor();
  await picture(t, page, 'text');

  const grows = join(sandbox, 'grows');
  await writeFile(grows, 'one\n');
  await page.goto(hashOf('file/grows'));
  await output(page).getByText('one').waitFor();
  await page.getByText('Follow', { exact: true }).click();
  await note.getByText('Following').waitFor();
  await appendFile(grows, 'two\n');
  await output(page).getByText('two').waitFor();
  await picture(t, page, 'follow');
  await page.getByText('Follow', { exact: true }).click();
  await note.getByText('8 bytes', { exact: true }).waitFor();
  await rm(grows);
  await page.getByText('Follow', { exact: true }).click();
  await note.getByText('There is no "grows" in this sandbox (any more)').waitFor();

  await page.goto(hashOf(`file/${encodeURIComponent('sub/binary')}`));
  await note.getByText('Not text. 9 bytes').waitFor();
  t.is(await output(page).textContent(), '00000000  7f 45 4c 46 00 00 00 ff  fe                       |.ELF.....|\n');
  await picture(t, page, 'bytes');
  await page.getByText('Bytes', { exact: true }).click();
  await output(page).getByText('ELF␀␀␀').waitFor();

  // Ten gigabytes that take no room: a part of it is as soon there as of a small one.
  await writeFile(join(sandbox, 'huge'), 'begins\n');
  await truncate(join(sandbox, 'huge'), 10 * 2 ** 30);
  await appendFile(join(sandbox, 'huge'), 'ends here\n');
  await page.goto(hashOf('file/huge'));
  await note.getByText('of 10,737,418,250 (10.0 GB)').waitFor();
  await page.getByRole('button', { name: 'Last part' }).click();
  await output(page).getByText('|ends here.|').waitFor();

  await writeFile(join(sandbox, 'empty'), '');
  await page.goto(hashOf('file/empty'));
  await note.getByText('Empty').waitFor();
  t.deepEqual(complaints, []);
});

serial(
  'a file that is followed goes on where it was when the scheduler is back, and nothing is told twice',
  async t => {
    const carried = join(sandbox, 'carried');
    await writeFile(carried, 'one\n');
    const { page, complaints } = await openPage(t, browser, hashOf('file/carried'));
    const note = page.locator('.log-note');
    await output(page).getByText('one').waitFor();
    await page.getByText('Follow', { exact: true }).click();
    await note.getByText('Following').waitFor();
    await output(page).getByText('one').waitFor();
    program.send('SIGKILL');
    await program.ended;
    await note.getByText('Connection lost, trying again').waitFor();
    await appendFile(carried, 'two\n');
    ({ program } = await startProgram(owner, data, [], new URL(url).host));
    await output(page).getByText('two').waitFor();
    t.is(await output(page).textContent(), 'one\ntwo\n');
    await note.getByText('Following').waitFor();
    t.deepEqual(complaints, []);
  },
);

serial(
  'a long folder shows more when it is asked to, a folder that changes changes, and earlier attempts are kept',
  async t => {
    const { page, complaints } = await openPage(t, browser, hashOf('files/many'));
    await page.getByText('The first 1,000 entries').waitFor();
    t.is(await page.locator('.folder tbody tr').count(), 1_000);
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('1,100 entries').waitFor();
    t.is(await page.locator('.folder tbody tr').count(), 1_100);

    await page.goto(hashOf('files'));
    await named(page, 'ready').waitFor();
    await writeFile(join(sandbox, 'new'), 'x');
    await named(page, 'new').waitFor();
    await rm(join(sandbox, 'new'));
    await named(page, 'new').waitFor({ state: 'detached' });

    await named(page, 'which').locator('a').first().click();
    await output(page).getByText('try 2').waitFor();
    await page.getByRole('combobox', { name: 'Attempt' }).selectOption('attempt 1');
    await output(page).getByText('try 1').waitFor();
    await page.locator('.crumbs').getByRole('link', { name: 'sandbox' }).click();
    await named(page, 'which').locator('a').first().click();
    await output(page).getByText('try 1').waitFor();
    await page.getByText('Follow', { exact: true }).click();
    await page.getByText('The attempt is over').waitFor();
    t.deepEqual(complaints, []);
  },
);
