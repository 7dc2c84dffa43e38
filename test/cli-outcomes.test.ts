// cli-outcomes.test.ts: `horae outcomes` and `horae missed`: a line becomes a request, an answer becomes lines.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { printRows, readAsk } from '../transport/cli/ask.ts';
import { serve } from './http/support/serve.ts';
import { startChild } from './support/child.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const key = 'www/prod/hello';
const row = {
  schedule: 's0',
  from: Date.UTC(2026, 0, 1),
  to: Date.UTC(2026, 0, 1, 2),
  count: 3,
  outcome: 'missed',
  why: 'not_caught_up',
  decided_at: Date.UTC(2026, 0, 1, 3),
} as const;

test('a line names the job, the server and the token, or they come from the environment', t => {
  const env = { HORAE_URL: 'https://horae.example.com/', HORAE_TOKEN: 'secret' };
  t.deepEqual(readAsk('outcomes', [key, '--limit=5', '--json'], env), {
    ok: true,
    value: {
      url: 'https://horae.example.com/api/v1/jobs/www/prod/hello/outcomes?limit=5',
      headers: { authorization: 'Bearer secret' },
      json: true,
    },
  });
  t.like(readAsk('missed', ['--url', 'http://[::1]:1'], {}), {
    ok: true,
    value: { url: 'http://[::1]:1/api/v1/missed?limit=50' },
  });
});

test('a line that cannot be asked is refused with what would be right', t => {
  for (const [command, argv, said] of [
    ['outcomes', [], /expected one job key/],
    ['outcomes', ['www/prod'], /expected one job key/],
    ['missed', ['www/prod/hello'], /expected flags alone/],
    ['missed', ['--limit', '0'], /--limit is 0: expected 1-1000/],
    ['missed', ['--url', 'horae'], /--url is horae: expected an address/],
    ['missed', ['--jsno'], /unknown flag --jsno: expected --json/],
  ] as const) {
    const read = readAsk(command, argv, {});
    t.regex(read.ok ? '' : (read.problems[0]?.message ?? ''), said);
  }
});

test('rows are lines in columns, the newest first, and nothing missed is said so', t => {
  const shown = { ...row, from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T02:00:00.000Z', job: key };
  t.is(
    printRows({ missed: [shown] }),
    '2026-01-01T00:00:00.000Z - 2026-01-01T02:00:00.000Z  www/prod/hello  missed 3  not caught up\n',
  );
  t.is(printRows({ missed: [] }), 'nothing was missed\n');
});

test('the program asks a server, prints its answer, and ends with 1 when there is none', async t => {
  const { core, url, server } = await serve(t);
  core.commit({ kind: 'missed', key: 'x', body: { ...row, job: key } });
  const ask = async (...argv: string[]) => {
    const child = startChild(t, { command: process.execPath, argv: [join(root, 'main.ts'), ...argv, '--url', url] });
    const ended = await child.ended;
    return { status: ended.status, text: child.output() };
  };
  const missed = await ask('missed', '--json');
  t.is(missed.status, 0);
  t.like((JSON.parse(missed.text) as { missed: object[] }).missed[0], { job: key, count: 3, why: 'not_caught_up' });
  const unknown = await ask('outcomes', key);
  t.is(unknown.status, 1);
  t.regex(unknown.text, /horae: the scheduler answered 404: there is no job www\/prod\/hello/);
  await server.close();
  const gone = await ask('missed');
  t.is(gone.status, 1);
  t.regex(gone.text, /horae: no answer from http:\/\/127\.0\.0\.1:/);
});
