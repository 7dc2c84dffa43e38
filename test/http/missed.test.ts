// missed.test.ts: what nobody ran, across jobs, a page at a time.

import test from 'ava';
import { sortable } from '../../actors/model/records.ts';
import { missed_page } from '../../transport/http/schemas.ts';
import { serve } from './support/serve.ts';

test('missed targets of all jobs are listed newest first, page by page', async t => {
  const { ask, core } = await serve(t);
  for (let n = 0; n < 5; n++) {
    const job = `www/prod/job-${n}`;
    const at = Date.UTC(2026, 0, 1 + n);
    const body = { job, schedule: 's0', from: at, to: at, count: 1, outcome: 'missed', why: 'window', decided_at: at };
    core.commit({ kind: 'missed', key: `${sortable(at)}/${job}/s0`, body });
  }
  const seen: string[] = [];
  for (let path: string | undefined = '/api/v1/missed?limit=2'; path !== undefined; ) {
    const { status, json } = await ask('GET', path);
    t.is(status, 200);
    const page = missed_page.parse(json);
    seen.push(...page.missed.map(row => row.job));
    path = page.next;
  }
  t.deepEqual(
    seen,
    [4, 3, 2, 1, 0].map(n => `www/prod/job-${n}`),
  );
  t.is((await ask('GET', '/api/v1/missed?before=bm9uc2Vuc2U')).status, 400);
});
