// helpers.test.ts: the small commands in tasks of the real program: what they tell, it believes.

import { join } from 'node:path';
import test from 'ava';
import { startRecorder } from '../helpers/support/recorder.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type RunAnswer, runsOf, startHorae } from './horae.ts';

const horae = `'${process.execPath}' '${join(import.meta.dirname, '..', '..', 'main.ts')}'`;

test('an async job ends as its command did, in both dialects; a program from an address is a job like any other', async t => {
  const data_dir = await tempDir(t);
  const { api } = await startHorae(t, data_dir);
  const page = await startRecorder(t, response =>
    response.writeHead(200).end('#!/bin/sh\n[ "$1" = "a b" ] && exit 6\n'),
  );
  const jobs: Readonly<Record<string, object>> = {
    well: { async: true, command: `${horae} async --url ${api.url} -- sh -c 'exit 0'` },
    ill: { async: true, command: `${horae} async --url ${api.url} --dialect chronos -- sh -c 'exit 3'` },
    fetched: { command: `${horae} url-runner --cache '${join(data_dir, 'cache')}' ${page.url} 'a b'` },
  };
  const ended = Object.entries(jobs).map(async ([name, job]) => {
    const document = { role: 'me', environment: 'test', name, ...job };
    const { status, text } = await api.request('POST', '/api/v1/jobs', document);
    t.is(status, 201, text);
    const run = await until<RunAnswer | undefined>(`the end of ${name}`, async () =>
      (await runsOf(api, `me/test/${name}`)).find(({ state }) => state === 'succeeded' || state === 'failed'),
    );
    const seen = await api.request('GET', `/api/v1/jobs/me/test/${name}/runs/${run.run}`);
    return [name, run.state, seen.text] as const;
  });
  const [well, ill, fetched] = await Promise.all(ended);
  t.is(well?.[1], 'succeeded', well?.[2]);
  t.is(ill?.[1], 'failed', ill?.[2]);
  t.regex(ill?.[2] ?? '', /"code":\s*"called-back"/);
  t.regex(ill?.[2] ?? '', /"status_code":\s*3/);
  t.is(fetched?.[1], 'failed', fetched?.[2]);
  t.regex(fetched?.[2] ?? '', /"exit_code":\s*6/);
});
