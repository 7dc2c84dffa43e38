// console.test.ts: a page in a real browser, shown by a node that only follows, when the leader dies.

import { openBrowser, openPage } from '../console/browser.ts';
import { chromium, testWith } from '../support/needs.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { startNodes } from './nodes.ts';

testWith(zookeeper && chromium)(
  'the console follows the leader without a reload, and shows what the next one does',
  async t => {
    t.timeout(10 * 60_000);
    const cluster = await startNodes(t);
    const leader = await cluster.leader();
    const [shown] = cluster.nodes.filter(node => node !== leader);
    const browser = await openBrowser();
    t.teardown(() => browser.close());
    const { page, complaints } = await openPage(t, browser, `${shown!.api.url}/`);
    const words = (text: string) => page.locator('.leading', { hasText: text }).waitFor({ timeout: 60_000 });
    await words(`${shown!.id} follows ${leader.id}`);
    // A reload would forget this.
    await page.evaluate("document.body.setAttribute('data-same', 'yes')");
    await leader.kill();
    const next = await cluster.leader(cluster.nodes.filter(node => node !== leader));
    await words(next === shown ? `${shown!.id} leads` : `${shown!.id} follows ${next.id}`);
    const job = { role: 'me', environment: 'test', name: 'late', command: 'sleep 1000', service: true };
    await next.api.request('POST', '/api/v1/jobs', job);
    await page.locator('a.row', { hasText: 'late' }).getByText('Running').first().waitFor({ timeout: 60_000 });
    t.is(await page.locator('body').getAttribute('data-same'), 'yes');
    t.deepEqual(complaints, []);
  },
);
