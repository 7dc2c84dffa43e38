// list.test.ts: the list in a real browser, with more jobs than fit on any screen.

import test from 'ava';
import type { Browser } from 'playwright-core';
import { chromium, testWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { openBrowser, openPage } from './browser.ts';
import { gone, instance, job, run, stage } from './stage.ts';

const jobs_count = 20_000;
let browser: Browser | undefined;
test.before(async () => {
  if (chromium !== undefined && chromium !== '') browser = await openBrowser();
});
test.after.always(() => browser?.close());

const nameOf = (n: number) => `n${String(n).padStart(5, '0')}`;

testWith(chromium)('20,000 jobs are scrolled and searched, and only those in sight exist', async t => {
  const stood = await stage(t, { jobs: Array.from({ length: jobs_count }, (_, n) => job(`www/prod/${nameOf(n)}`)) });
  const hand = setInterval(() => stood.clock.advanceTo(stood.clock.now() + 20), 20);
  t.teardown(() => clearInterval(hand));
  const { page, complaints } = await openPage(t, browser!, `http://127.0.0.1:${stood.port}/`);
  const row = (n: number) => page.locator('a.row', { hasText: nameOf(n) });
  await row(0).waitFor();
  await page.locator('.chip.all').getByText('20,000').waitFor();
  t.true((await page.locator('.row').count()) < 40);

  await page.keyboard.press('End');
  await row(jobs_count - 1).waitFor();
  const halfway = '(document.body.scrollHeight - innerHeight) / 2';
  await page.evaluate(`scrollTo(0, ${halfway})`);
  await row(jobs_count / 2).waitFor();
  // Each row stands where its place in the list is.
  await until('no row without its job', async () => (await page.locator('.row.blank').count()) === 0);
  const places = await page.locator('a.row').evaluateAll(rows =>
    rows.map(each => {
      const { dataset, textContent } = each as unknown as { dataset: { place: string }; textContent: string };
      return [Number(dataset.place), Number(/n(\d{5})/.exec(textContent)?.[1])];
    }),
  );
  t.true(places.length > 10);
  for (const [place, n] of places) t.is(place, n);

  const middle = `www/prod/${nameOf(jobs_count / 2)}`;
  stood.commit(run(middle, '1.m.x'), instance(middle, '1.m.x', 0, 'running'));
  await row(jobs_count / 2)
    .getByText('Running')
    .waitFor();
  stood.commit(gone('job', `www/prod/${nameOf(3)}`));
  await until(
    'the others move up',
    async () => (await row(jobs_count / 2).getAttribute('data-place')) === String(jobs_count / 2 - 1),
  );

  await page.keyboard.press('/');
  await page.keyboard.type('n1234');
  await row(12_349).waitFor();
  await until('ten rows', async () => (await page.locator('a.row').count()) === 10);
  t.deepEqual(complaints, []);
});

testWith(chromium)('output that comes in pieces loses its colours and shows what cannot be printed', async t => {
  const stood = await stage(t, { jobs: [] });
  const { page } = await openPage(t, browser!, `http://127.0.0.1:${stood.port}/`);
  const pieces = ['a\u001b[3', '1mred\u001b', '[0m\r\n', 'tab\tnul\u0000 bell\u0007 del\u007f c1\u0085', ' 50%\r100%'];
  const shown = await page.evaluate(
    `import('/console/output.js').then(({ cleaner }) => { const clean = cleaner(); return ${JSON.stringify(pieces)}.map(clean).join(''); })`,
  );
  t.is(shown, 'ared\ntab\tnul\u2400 bell\u2407 del\u2421 c1\ufffd 50%\n100%');
});
