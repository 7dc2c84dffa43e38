// page.test.ts: the console in a real browser, before the real program.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Browser, Page } from 'playwright-core';
import type { JobSubmission } from '../../actors/model/job.ts';
import type { Child } from '../support/child.ts';
import { chromium, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage, startProgram } from './browser.ts';

let browser: Browser;
let url: string;
let data: string;
let program: Child;
const owner = fileOwner();

const start = async (http: string) => {
  const started = await startProgram(owner, data, [], http);
  program = started.program;
  return started.url;
};

test.before(async () => {
  if (chromium === undefined || chromium === '') return;
  data = await tempDir(owner);
  [url, browser] = await Promise.all([start('127.0.0.1:0'), openBrowser()]);
  owner.teardown(() => browser.close());
});
test.after.always(owner.clean);

const submit = async (name: string, more: Partial<JobSubmission>) => {
  const job = { role: 'www', environment: 'test', name, ...more };
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(job),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
};
/** One after the other: a page is a heavy thing on a small machine. */
const serial = serialWith(chromium);
/** Due long after the test. */
const rarely = { cron: '0 0 29 2 *' };
const row = (page: Page, name: string) => page.locator('a.row', { has: page.locator('strong', { hasText: name }) });
const hashOf = (name: string) => `#/jobs/www/test/${name}`;

serial('a failure is told in words, and a job of Chronos has the name that it was given', async t => {
  await submit('not-there', { command: 'true', fetch: [{ uri: 'file:///not/there' }] });
  const posted = await fetch(`${url}/v1/scheduler/iso8601`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: '#two words', command: 'true', schedule: 'R/2040-01-01T00:00:00Z/P1Y' }),
  });
  t.is(posted.status, 204);
  const { page, complaints } = await openPage(t, browser, url);
  await row(page, '#two words').click();
  await page.locator('h1', { hasText: '#two words' }).waitFor();
  await page.goto(`${url}/${hashOf('not-there')}`);
  await page.getByText(/^launch failed: Failed to launch container: Failed to fetch .*not\/there/).waitFor();
  await page.getByText('On submission').waitFor();
  t.deepEqual(complaints, []);
});

serial('of what has ended the memory is shown that it had, not that nobody is there any more', async t => {
  await submit('used-up', { command: 'true' });
  const { page } = await openPage(t, browser, url);
  const point = (second: number, rss_bytes: number) => ({
    at: `2026-01-01T00:00:0${second}.000Z`,
    cpu_s: second,
    rss_bytes,
    disk_bytes: 4_096,
  });
  const points = [point(0, 1e6), point(1, 54e6), point(2, 0)];
  const json = { index: 0, attempt: 1, since: 'agent', limits: { mem_bytes: 64e6 }, points };
  await page.route('**/usage*', route => route.fulfill({ json }));
  await page.goto(`${url}/${hashOf('used-up')}`);
  await page.getByRole('link', { name: 'Details' }).click();
  const memory = page.locator('.usage figure', { has: page.getByText('Memory', { exact: true }) });
  await memory.locator('strong').waitFor();
  t.regex((await memory.locator('strong').textContent()) ?? '', /^5[0-9.]+ MB of 6[0-9.]+ MB$/);
});

serial('a page that loses the scheduler says so, and goes on by itself when it is back', async t => {
  const { page, complaints } = await openPage(t, browser, url);
  await page.getByText('Live').waitFor();
  program.send('SIGTERM');
  await program.ended;
  await page.getByText('Offline, trying again').waitFor();
  await start(new URL(url).host);
  await page.getByText('Live').waitFor();
  await submit('returns', { ...rarely, command: 'true' });
  await row(page, 'returns').waitFor();
  t.deepEqual(complaints, []);
});

serial('a job appears in the list and changes its state there without a reload', async t => {
  const { page, complaints } = await openPage(t, browser, url);
  await page.evaluate(() => Object.assign(globalThis, { untouched: true }));
  await page.getByText('Live').waitFor();
  const gate = join(data, 'gate-appears');
  await submit('appears', { ...rarely, command: `while [ ! -e ${gate} ]; do sleep 0.05; done` });
  await row(page, 'appears').getByText('Scheduled').waitFor();
  await fetch(`${url}/api/v1/jobs/www/test/appears/runs`, { method: 'POST' });
  await row(page, 'appears').getByText('Running').waitFor();
  await writeFile(gate, '');
  await row(page, 'appears').getByText('Succeeded').waitFor();
  await row(page, 'appears').getByText('1 ok').waitFor();
  await row(page, 'appears').getByText('Scheduled').waitFor();
  t.true(await page.evaluate(() => 'untouched' in globalThis));
  t.deepEqual(complaints, []);
});

serial('the page of a job shows what its tasks are put into', async t => {
  const port_mappings = [{ container_port: 80, port: 'http' }];
  const volumes = [{ container_path: '/data', host_path: '/srv', mode: 'ro' as const }];
  const container = { image: 'nginx:1', port_mappings, volumes, arguments: ['-g', 'a b'] };
  await submit('boxed', { ...rarely, container });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('boxed')}`);
  await page.getByText('nginx:1, by Docker').waitFor();
  await page.getByText('http to 80').waitFor();
  await page.getByText('/srv at /data, read only').waitFor();
  await page.getByText('"-g" "a b"', { exact: true }).waitFor();
  t.deepEqual(complaints, []);
});

serial('the start button starts a run, and its log goes on as it is written', async t => {
  const gate = join(data, 'gate-log');
  const command = `echo "first line"; echo trouble >&2; while [ ! -e ${gate} ]; do sleep 0.05; done; echo "last line"`;
  await submit('talks', { ...rarely, command });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('talks')}`);
  await page.getByText('No run has ended yet.').waitFor();
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.getByText('Run recorded').waitFor();
  await page.locator('.live-runs .badge.running').waitFor();
  await page.locator('.live-runs').getByRole('link', { name: 'Log' }).click();
  const output = page.locator('pre.output');
  await output.getByText('first line').waitFor();
  t.false((await output.textContent())?.includes('last line'));
  await page.getByRole('tab', { name: 'stderr' }).click();
  await output.getByText('trouble').waitFor();
  await page.getByRole('tab', { name: 'stdout' }).click();
  await output.getByText('first line').waitFor();
  await writeFile(gate, '');
  await output.getByText('last line').waitFor();
  await page.getByText('The attempt is over').waitFor();
  await page.keyboard.press('Escape');
  await output.waitFor({ state: 'detached' });
  await page.locator('.finished').getByText('Succeeded').waitFor();
  t.deepEqual(complaints, []);
});

serial(
  'a job shows whom it follows, who follows it and what waits, and asks for its children when it is deleted',
  async t => {
    await submit('before-one', { ...rarely, command: 'true' });
    await submit('before-two', { ...rarely, command: 'true' });
    await submit('between', { parents: ['before-one', 'before-two'], command: 'true' });
    await submit('behind', { parents: ['between'], command: 'true' });
    const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('between')}`);
    await page.getByText('After 2 jobs').waitFor();
    await page.getByText('Before 1 job').waitFor();
    await page.getByText('Nothing is running.').waitFor();
    t.is(await page.locator('.kin-drawing rect').count(), 4);
    await fetch(`${url}/api/v1/jobs/www/test/before-one/runs`, { method: 'POST' });
    await page.getByText('1 run of it waits here').waitFor();
    t.is(await page.locator('.kin-drawing path.waits').count(), 1);
    await fetch(`${url}/api/v1/jobs/www/test/before-two/runs`, { method: 'POST' });
    await page.locator('.finished').getByText('After before-one and before-two').waitFor();
    await page.getByRole('link', { name: 'behind' }).click();
    await page
      .locator('.finished')
      .getByText(/^After \S+ of between$/)
      .waitFor();
    await page.goto(`${url}/${hashOf('between')}`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('1 job follows it.').waitFor();
    await page.locator('dialog select').selectOption('reschedule');
    await page.getByRole('button', { name: 'Delete job' }).click();
    await page.getByText('between was deleted').waitFor();
    const { job } = (await (await fetch(`${url}/api/v1/jobs/www/test/behind`)).json()) as {
      job: { parents: string[] };
    };
    t.deepEqual(job.parents, ['www/test/before-one', 'www/test/before-two']);
    t.deepEqual(complaints, []);
  },
);

serial('whatever a job is called, says or prints, it stays text', async t => {
  const attack = `<img src="/console/none.svg" onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>`;
  await submit('attacks', {
    ...rarely,
    description: attack,
    owner: attack,
    labels: { [attack.slice(0, 100)]: attack },
    env: { EVIL: attack },
    command: `printf '%s\\033[31m%s\\033[0m \\000\\377 %s' '${attack}' 'red' 'the end'; exit 1`,
  });
  const { page, complaints } = await openPage(t, browser, url);
  await row(page, 'attacks').getByText('globalThis.pwned=1').waitFor();
  await page.goto(`${url}/${hashOf('attacks')}`);
  await page.locator('.env').getByText(attack, { exact: false }).waitFor();
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.finished').getByText('exit code 1').waitFor();
  await page.locator('.finished').getByRole('link', { name: 'Log' }).click();
  await page.locator('pre.output').getByText('the end').waitFor();
  t.is(await page.locator('pre.output').textContent(), `${attack}red \u2400\ufffd the end`);
  t.is(await page.locator('main img, main script').count(), 0);
  t.false(await page.evaluate(() => 'pwned' in globalThis));
  t.deepEqual(complaints, []);
});

serial('an instance that waits says why, and earlier attempts can be read', async t => {
  await submit('huge', { ...rarely, command: 'true', cpus: 10_000 });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('huge')}`);
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.why').getByText('cpus: needs 10000').waitFor();

  await submit('again', { ...rarely, command: 'echo "try $HORAE_ATTEMPT"; exit 3', retries: 1, retry_delay_ms: 0 });
  await page.goto(`${url}/${hashOf('again')}`);
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.finished').getByText('exit code 3 · 2 attempts').waitFor();
  await page.locator('.finished').getByRole('link', { name: 'Log' }).click();
  await page.locator('pre.output').getByText('try 2').waitFor();
  await page.getByRole('combobox', { name: 'Attempt' }).selectOption('attempt 1');
  await page.locator('pre.output').getByText('try 1').waitFor();
  t.is(await page.locator('pre.output').textContent(), 'try 1\n');
  t.deepEqual(complaints, []);
});

serial('a kill asks first, and then kills', async t => {
  await submit('lingers', { ...rarely, command: 'exec sleep 1000' });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('lingers')}`);
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.live-runs .badge.running').waitFor();
  await page.getByRole('button', { name: 'Kill', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  t.is(await page.locator('.live-runs .badge.running').count(), 1);
  await page.getByRole('button', { name: 'Kill', exact: true }).click();
  await page.getByRole('button', { name: 'Kill run' }).click();
  await page.locator('.finished').getByText('killed by local').waitFor();
  await page.getByText('Nothing is running.').waitFor();
  t.deepEqual(complaints, []);
});

serial('a job is disabled and enabled, and deleted only when that was meant', async t => {
  await submit('leaves', { ...rarely, command: 'true' });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('leaves')}`);
  await page.getByRole('button', { name: 'Disable' }).click();
  await page.locator('.now-state').getByText('Disabled').waitFor();
  await page.getByRole('button', { name: 'Enable' }).click();
  await page.locator('.now-state').getByText('Scheduled').waitFor();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'Delete leaves?' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  t.is((await fetch(`${url}/api/v1/jobs/www/test/leaves`)).status, 200);
  t.true(page.url().endsWith(hashOf('leaves')), 'the Escape was meant for the question alone');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete job' }).click();
  await page.getByText('leaves was deleted').waitFor();
  await row(page, 'leaves').waitFor({ state: 'detached' });
  await until('no such job', async () => (await fetch(`${url}/api/v1/jobs/www/test/leaves`)).status === 404);
  t.deepEqual(complaints, []);
});

serial('a job is paused with a reason that everybody sees, and resumed', async t => {
  await submit('rests', { ...rarely, command: 'true' });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('rests')}`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Pause job' }).click();
  await page.getByRole('dialog').waitFor(); // A reason is wanted.
  await page.getByLabel('Why, for whoever wonders').fill('the disk is full');
  await page.getByRole('button', { name: 'Pause job' }).click();
  await page.getByText('Paused by local').waitFor();
  await page.getByText(': the disk is full').waitFor();
  await page.locator('.now-state').getByText('Paused').waitFor();
  const told = async () =>
    ((await (await fetch(`${url}/api/v1/jobs/www/test/rests`)).json()) as { paused?: { note: string } }).paused?.note;
  t.is(await told(), 'the disk is full');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.locator('.now-state').getByText('Scheduled').waitFor();
  t.is(await told(), undefined);
  t.deepEqual(complaints, []);
});

serial('a range of the past is backfilled, and its progress is shown', async t => {
  await submit('repeats', { cron: '0 12 * * *', command: 'true' });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('repeats')}`);
  await page.getByRole('button', { name: 'Backfill' }).click();
  await page.getByLabel('From').fill('2025-03-01T00:00:00');
  await page.getByLabel('To', { exact: true }).fill('2025-03-03T23:00:00');
  await page.getByRole('button', { name: 'Start backfill' }).click();
  await page.getByText('Backfill of 3 targets begun').waitFor();
  await page.locator('.backfills').getByText('all 3 had their turn').waitFor();
  await until('three runs', async () => (await page.locator('.finished').getByText('Backfills').count()) === 3);
  t.deepEqual(complaints, []);
});

serial('a run that waits is killed where it stands, and the active one goes on', async t => {
  const gate = join(data, 'gate-waits');
  const command = `while [ ! -e ${gate} ]; do sleep 0.05; done`;
  await submit('waits', { ...rarely, command, overlap: { policy: 'buffer-one' } });
  const { page, complaints } = await openPage(t, browser, `${url}/${hashOf('waits')}`);
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.live-runs .badge.running').waitFor();
  await page.getByRole('button', { name: 'Start run' }).click();
  await page.locator('.waiting-starts').getByRole('button', { name: 'Kill' }).click();
  await page.getByRole('button', { name: 'Kill run' }).click();
  await page.locator('.finished').getByText('killed by local').waitFor();
  await page.locator('.waiting-starts li').waitFor({ state: 'detached' });
  t.is(await page.locator('.live-runs .badge.running').count(), 1);
  await writeFile(gate, '');
  await page.locator('.finished').getByText('Succeeded').waitFor();
  t.deepEqual(complaints, []);
});

serial('a calendar is made, is followed by a job, is changed, and goes when nobody names it', async t => {
  const { page, complaints } = await openPage(t, browser, `${url}/#/calendars`);
  await page.getByText('No calendars yet').waitFor();
  await page.getByRole('link', { name: 'New calendar' }).click();
  await page.getByLabel('Name').fill('feasts');
  const rules = page.getByLabel('Rules in YAML or JSON');
  await rules.fill('rules: [{yearly: 99-99}]');
  await page.getByRole('button', { name: 'Save calendar' }).click();
  await page.locator('.problems').getByText('99-99').waitFor();
  await rules.fill('description: No work\nrules:\n  - {easter: 1}\n  - {month: 11, weekday: THU, nth: 4}\n');
  await page.getByRole('button', { name: 'Save calendar' }).click();
  const card = page.getByRole('article', { name: 'feasts' });
  await card.getByText('1 day after Easter Sunday').waitFor();
  await card.getByText('the fourth Thursday of November').waitFor();
  await submit('follows', {
    command: 'true',
    schedules: [{ cron: '0 5 * * *', calendar: { exclude: ['feasts'] } }],
  });
  await page.reload();
  await card.getByRole('link', { name: 'www/test/follows' }).waitFor();
  t.is(await card.getByRole('button', { name: 'Delete' }).count(), 0);
  await card.getByRole('link', { name: 'Edit' }).click();
  await until('the document', async () => (await rules.inputValue()).includes('easter'));
  await rules.fill('BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261231\nEND:VEVENT\nEND:VCALENDAR\n');
  await page.getByRole('button', { name: 'Save calendar' }).click();
  await card.getByText('version 2').waitFor();
  await card.getByText('2026-12-31').waitFor();
  await fetch(`${url}/api/v1/jobs/www/test/follows`, { method: 'DELETE' });
  await until('no such job', async () => (await fetch(`${url}/api/v1/jobs/www/test/follows`)).status === 404);
  await page.reload();
  await card.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete calendar' }).click();
  await page.getByText('feasts was deleted').waitFor();
  await card.waitFor({ state: 'detached' });
  t.deepEqual(complaints, []);
});

serial('a form says by place what is wrong, and takes what is right', async t => {
  const { page, complaints } = await openPage(t, browser, `${url}/#/new`);
  const text = page.getByRole('textbox', { name: 'Job document' });
  await text.fill(
    'role: www\nenvironment: test\nname: typed\ncommand: true && echo\ncpus: -1\ncron: "0 25 * * *"\nspeed: high\n',
  );
  await page.getByRole('button', { name: 'Submit job' }).click();
  await page.getByRole('button', { name: '/cpus' }).click();
  t.is(
    await text.evaluate(area =>
      (area as unknown as { value: string; selectionStart: number; selectionEnd: number }).value.slice(
        (area as unknown as { selectionStart: number }).selectionStart,
        (area as unknown as { selectionEnd: number }).selectionEnd,
      ),
    ),
    'cpus: -1',
  );
  await page.getByRole('button', { name: '/speed' }).waitFor();
  await text.fill('role: www\nenvironment: test\nname: typed\ncommand: echo typed\ncron: "0 5 * * *"\n');
  await page.keyboard.press('Control+Enter');
  await page.getByRole('heading', { name: 'typed' }).waitFor();
  await page.getByText('At 05:00, in UTC').waitFor();
  await page.getByRole('link', { name: 'Edit' }).click();
  await text.waitFor();
  await until('the document', async () => (await text.inputValue()).includes('echo typed'));
  await text.fill((await text.inputValue()).replace('echo typed', 'echo edited'));
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.locator('pre.command').getByText('echo edited').waitFor();
  t.deepEqual(complaints, []);
});

serial('the keyboard alone leads through the list', async t => {
  await submit('key-a', { ...rarely, command: 'true' });
  await submit('key-b', { ...rarely, command: 'true', enabled: false });
  const { page, complaints } = await openPage(t, browser, url);
  await row(page, 'key-b').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('key-');
  await until('two rows', async () => (await page.locator('a.row').count()) === 2);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'key-b' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('a.row').first().waitFor();
  await page.getByRole('button', { name: 'Disabled' }).click();
  await until('one row', async () => (await page.locator('a.row').count()) === 1);
  t.true(page.url().endsWith('#/?q=key-&filter=disabled'), 'the search was kept on the way back');
  t.deepEqual(complaints, []);
});
