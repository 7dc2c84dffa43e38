// async.test.ts: `horae async`: a command is run, and its end told to whoever waits for it.

import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { readAsync } from '../../helpers/async.ts';
import { requestOf } from '../../helpers/completion.ts';
import { endOf } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startHelper } from './support/helper.ts';
import { startRecorder } from './support/recorder.ts';

const task = 'www:prod:hello:r7:0:1';
const accept = (response: ServerResponse) => response.writeHead(202).end('{}');
const refuse = (status: number, detail: string) => (response: ServerResponse) =>
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ detail }));

test('the status of a command is reported as the end of the task, and is then no failure of its own', async t => {
  const server = await startRecorder(t, accept);
  const env = { HORAE_TASK_ID: task, HORAE_URL: server.url, HORAE_TOKEN: 'pass' };
  const child = startHelper(t, ['async', '--', 'sh', '-c', 'echo "$1"; exit 3', 'sh', 'a  $b'], env);
  t.is((await endOf(child)).status, 0);
  t.is(child.output(), 'a  $b');
  const [heard] = server.heard;
  t.is(server.heard.length, 1);
  t.like(heard, {
    method: 'POST',
    path: '/api/v1/tasks/www%3Aprod%3Ahello%3Ar7%3A0%3A1/complete',
    body: '{"status_code":3}',
  });
  t.like(heard?.headers, { authorization: 'Bearer pass', 'content-type': 'application/json' });
});

test("Chronos's words are spoken where they are asked for", t => {
  t.deepEqual(requestOf({ task: 'ct:1:0:a job:', dialect: 'chronos' }, 0), {
    method: 'PUT',
    path: '/scheduler/task/ct%3A1%3A0%3Aa%20job%3A',
    field: 'statusCode',
    body: '{"statusCode":0}',
  });
});

test('a signal reaches the command, and its end by one is reported as a shell would say it', async t => {
  const server = await startRecorder(t, accept);
  const env = { HORAE_TASK_ID: task, HORAE_URL: server.url };
  const child = startHelper(t, ['async', 'sh', '-c', 'echo up; exec sleep 600'], env);
  await child.line(/up/);
  child.send('SIGTERM');
  t.is((await endOf(child)).status, 0);
  t.is(server.heard[0]?.body, '{"status_code":143}');
});

test('a report is brought again while nobody or only trouble answers, to whichever node does', async t => {
  const port = await freePort();
  const busy = await startRecorder(t, refuse(503, 'nobody leads'));
  const argv = ['async', '--url', `http://127.0.0.1:${port}`, '--url', busy.url, '--', 'true'];
  const child = startHelper(t, argv, { MESOS_TASK_ID: task });
  await until('some reports that were not accepted', () => busy.heard.length >= 2);
  const back = await startRecorder(t, accept, port);
  t.is((await endOf(child)).status, 0);
  t.is(back.heard.length, 1);
  t.regex(child.output(), /report not accepted yet: http:\/\/127.0.0.1:\d+: .*ECONNREFUSED/);
  t.regex(child.output(), /answered 503: nobody leads/);
});

test('a report that is refused, or that nobody took in time, makes the task fail', async t => {
  const stale = await startRecorder(t, refuse(409, 'nobody waits for word of this task'));
  const refused = startHelper(t, ['async', '--url', stale.url, '--', 'true'], { HORAE_TASK_ID: task });
  t.is((await endOf(refused)).status, 125);
  t.regex(refused.output(), /the report was refused: .* answered 409: nobody waits for word of this task/);
  t.is(stale.heard.length, 1);

  const busy = await startRecorder(t, refuse(503, 'nobody leads'));
  const argv = ['async', '--url', busy.url, '--deadline', '1', '--', 'sh', '-c', 'exit 9'];
  const late = startHelper(t, argv, { HORAE_TASK_ID: task });
  t.is((await endOf(late)).status, 9);
  t.regex(late.output(), /nobody took the report that www:prod:hello:r7:0:1 ended with 9, in \d+ attempts/);
});

test('whoever is told to go while it waits tries once more, and goes', async t => {
  const busy = await startRecorder(t, refuse(503, 'nobody leads'));
  const child = startHelper(t, ['async', '--url', busy.url, '--', 'true'], { HORAE_TASK_ID: task });
  await until('a report', () => busy.heard.length >= 4);
  child.send('SIGTERM');
  t.is((await endOf(child)).status, 125);
});

test('a command that cannot be started is reported too', async t => {
  const server = await startRecorder(t, accept);
  const env = { HORAE_TASK_ID: task, HORAE_URL: server.url };
  const child = startHelper(t, ['async', '--', '/nowhere/program'], env);
  t.is((await endOf(child)).status, 0);
  t.is(server.heard[0]?.body, '{"status_code":127}');
  t.regex(child.output(), /"\/nowhere\/program" could not be started: there is no such program/);
});

test('nothing is run when it is not known whose end is to be reported, or to whom', async t => {
  const file = join(await tempDir(t), 'token');
  await writeFile(file, 'pass\n');
  const told = { HORAE_TASK_ID: task };
  const read = readAsync(['--token-file', file, '--url', 'https://a/', '--url', 'https://b', 'x', '--url'], told);
  t.deepEqual(read, {
    ok: true,
    value: {
      destination: { task, urls: ['https://a', 'https://b'], dialect: 'horae', deadline_ms: 3_600_000, token: 'pass' },
      argv: ['x', '--url'],
    },
  });
  for (const [argv, env, said] of [
    [['true'], {}, /it is not known whose end is to be reported: expected HORAE_TASK_ID in a task, or --task ID/],
    [['--url', 'horae', 'true'], told, /--url is horae: expected an address/],
    [['--token-file', `${file}x`, 'true'], told, /--token-file is .*, which is not there: expected a file/],
    [['--dialect', 'aurora', 'true'], told, /--dialect is aurora: expected horae or chronos/],
    [['--deadline', '0', 'true'], told, /--deadline is 0: expected a whole number/],
    [['--deadline', '5'], told, /no command is given: expected horae async -- CMD ARGS/],
  ] as const) {
    const refused = readAsync(argv, env);
    t.regex(refused.ok ? 'taken' : refused.problems.map(({ message }) => message).join('\n'), said);
  }
});
