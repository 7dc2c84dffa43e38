// logs.test.ts: reading and following what a run writes.

import { get } from 'node:http';
import test from 'ava';
import { type FinishedRun, type InstanceRecord, sortable } from '../../actors/model/records.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { hello, hello_path, limits_default, type Served, serve } from './support/serve.ts';

const key = 'www/prod/hello';
const run = '1.m.x';
const log_path = `${hello_path}/runs/${run}/logs/0/stdout`;
const file = (attempt: number, stream = 'stdout') => `agent-1 www:prod:hello:${run}:0:${attempt} ${stream}`;
const running = (attempt: number): InstanceRecord => ({
  status: 'running',
  attempt,
  failures: attempt - 1,
  since: 2,
  agent_id: 'agent-1',
  hostname: 'h',
  version: 1,
});
const instance = (body: InstanceRecord | undefined) => ({ kind: 'instance', key: `${key}/${run}/0`, body });

async function withRun(t: Owner, attempt = 1, options: Parameters<typeof serve>[1] = {}): Promise<Served> {
  const served = await serve(t, options);
  await served.ask('POST', '/api/v1/jobs', { json: hello });
  const body = { run, cause: { type: 'once' }, instances: 1, created_at: 1 };
  served.core.commit({ kind: 'run', key: `${key}/${run}`, body }, instance(running(attempt)));
  return served;
}

/** The run as it is when it is over: its records are gone, its row is there. */
function finish({ core }: Served, attempts = 1): void {
  const reason = { code: 'exited', exit_code: 0 } as const;
  const body: FinishedRun = {
    run,
    cause: { type: 'once' },
    instances: 1,
    created_at: 1,
    ended_at: 9,
    outcome: 'succeeded',
    results: [{ index: 0, attempts, failures: attempts - 1, outcome: 'succeeded', reason, agent_id: 'agent-1' }],
  };
  core.commit(
    { kind: 'finished-run', key: `${key}/${sortable(1)}/${run}`, body },
    { kind: 'run', key: `${key}/${run}`, body: undefined },
    instance(undefined),
  );
}

/** A request whose answer is heard as it comes. */
function listen(t: Owner, { port }: Served, path: string, headers: Record<string, string> = {}) {
  const heard: Buffer[] = [];
  const state = { ended: false, status: 0 };
  const request = get({ host: '127.0.0.1', port, path, headers, agent: false }, response => {
    state.status = response.statusCode ?? 0;
    response.on('data', (chunk: Buffer) => heard.push(chunk));
    response.on('end', () => {
      state.ended = true;
    });
    response.on('error', () => undefined);
  });
  request.on('error', () => undefined);
  t.teardown(() => void request.destroy());
  return { state, text: () => Buffer.concat(heard).toString('utf8'), leave: () => request.destroy() };
}

test('a log is read whole, from an offset, from the end, or by range', async t => {
  const served = await withRun(t);
  served.files.set(file(1), '0123456789');
  const read = async (query: string, headers = {}) =>
    (await served.ask('GET', `${log_path}${query}`, { headers })).text;
  t.is(await read(''), '0123456789');
  t.is(await read('?offset=4'), '456789');
  t.is(await read('?offset=-3'), '789');
  t.is(await read('?offset=99'), '');
  const part = await served.ask('GET', log_path, { headers: { range: 'bytes=2-4' } });
  t.is(part.status, 206);
  t.is(part.headers['content-range'], 'bytes 2-4/10');
  t.is(part.text, '234');
  t.is(await read('', { range: 'bytes=-2' }), '89');
  t.is(await read('', { range: 'bytes=8-100' }), '89');
  t.is((await served.ask('GET', log_path, { headers: { range: 'bytes=10-' } })).status, 416);
  // A range that is none is no reason to send nothing.
  t.is(await read('', { range: 'bytes=4-2' }), '0123456789');
  t.is(await read('', { range: 'lines=1-2' }), '0123456789');
});

test('a log may be read after the run is over, attempt by attempt', async t => {
  const served = await withRun(t, 2);
  served.files.set(file(1), 'first').set(file(2), 'second');
  const row = { task_id: `www:prod:hello:${run}:0:1`, agent_id: 'agent-1' };
  served.core.commit({ kind: 'finished-attempt', key: `${key}/${sortable(5)}/${row.task_id}`, body: row });
  t.is((await served.ask('GET', `${log_path}?attempt=1`)).text, 'first');
  finish(served, 2);
  t.is((await served.ask('GET', log_path)).text, 'second');
  t.is((await served.ask('GET', `${log_path}?attempt=1`)).text, 'first');
  t.is((await served.ask('GET', `${log_path}?attempt=3`)).status, 404);
});

test('what does not exist is 404: job, run, instance, stream, file', async t => {
  const served = await withRun(t);
  served.files.set(file(1), 'x');
  for (const path of [
    `/api/v1/jobs/www/prod/none/runs/${run}/logs/0/stdout`,
    `${hello_path}/runs/none/logs/0/stdout`,
    `${hello_path}/runs/${run}/logs/7/stdout`,
    `${hello_path}/runs/${run}/logs/x/stdout`,
    `${hello_path}/runs/${run}/logs/0/passwd`,
    `${hello_path}/runs/${run}/logs/0/stderr`,
    `${hello_path}/runs/${run}/logs/0/..%2f..%2fstdout`,
  ])
    t.is((await served.ask('GET', path)).status, 404, path);
  t.is((await served.ask('GET', `${log_path}?offset=x`)).status, 400);
});

test('a followed log grows with its file, and ends when the attempt is over and all of it was sent', async t => {
  const served = await withRun(t);
  served.files.set(file(1), 'one\n');
  const follower = listen(t, served, `${log_path}?follow=true`);
  await until('the first line', () => follower.text() === 'one\n');
  served.files.set(file(1), 'one\ntwo\n');
  await until('the second line', () => follower.text() === 'one\ntwo\n');
  t.false(follower.state.ended);
  served.files.set(file(1), 'one\ntwo\nthree\n');
  finish(served);
  await until('the end', () => follower.state.ended);
  t.is(follower.text(), 'one\ntwo\nthree\n');
});

test('following waits for a run that has not begun', async t => {
  const served = await withRun(t);
  served.core.commit(instance({ status: 'pending', attempt: 1, failures: 0, since: 1 }));
  const follower = listen(t, served, `${log_path}?follow=true`);
  await until('an answer', () => follower.state.status === 200);
  served.core.commit(instance(running(1)));
  served.files.set(file(1), 'at last');
  await until('the text', () => follower.text() === 'at last');
  t.false(follower.state.ended);
});

test('a follower stays with the attempt that it began with', async t => {
  const served = await withRun(t);
  served.files.set(file(1), 'first').set(file(2), 'second');
  const follower = listen(t, served, `${log_path}?follow=true`);
  await until('the text', () => follower.text() === 'first');
  served.core.commit(instance(running(2)));
  await until('the end', () => follower.state.ended);
  t.is(follower.text(), 'first');
});

test('as a stream of events a log can be taken up where it broke off', async t => {
  const served = await withRun(t);
  served.files.set(file(1), 'grüß dich\n');
  finish(served);
  const events = { accept: 'text/event-stream' };
  const whole = listen(t, served, log_path, events);
  await until('the end', () => whole.state.ended);
  t.is(whole.text(), 'id: 12\ndata: {"offset":12,"text":"grüß dich\\n"}\n\nevent: end\ndata: {"offset":12}\n\n');
  const rest = listen(t, served, log_path, { ...events, 'last-event-id': '6' });
  await until('the end', () => rest.state.ended);
  t.true(rest.text().startsWith('id: 12\ndata: {"offset":12,"text":" dich\\n"}'));
  const odd = listen(t, served, log_path, { ...events, 'last-event-id': 'NaN' });
  await until('the end', () => odd.state.ended);
  t.true(odd.text().includes('grüß dich'));
});

test('a character cut in two by the size of a piece arrives whole', async t => {
  const served = await withRun(t, 1, { limits: { ...limits_default, log_follow_bytes_max: 3 } });
  served.files.set(file(1), 'aß€𝄞b');
  finish(served);
  const follower = listen(t, served, log_path, { accept: 'text/event-stream' });
  await until('the end', () => follower.state.ended);
  const texts = [...follower.text().matchAll(/"text":("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text!));
  t.is(texts.join(''), 'aß€𝄞b');
});

test('at most so many logs are followed, and a place is free again when somebody leaves', async t => {
  const served = await withRun(t, 1, { limits: { ...limits_default, log_followers_max: 1 } });
  served.files.set(file(1), 'x');
  const first = listen(t, served, `${log_path}?follow=true`);
  await until('the text', () => first.text() === 'x');
  const second = await served.ask('GET', `${log_path}?follow=true`);
  t.is(second.status, 503);
  t.truthy(second.headers['retry-after']);
  first.leave();
  const third = await until('a free place', async () => {
    const next = listen(t, served, `${log_path}?follow=true`);
    await until('an answer', () => next.state.status !== 0);
    return next.state.status === 200 && next;
  });
  await until('the text', () => third.text() === 'x');
  t.pass();
});

test('a large log and a reader that does not read cost one piece of memory', async t => {
  const asked: number[] = [];
  const size = 200_000_000;
  const served = await withRun(t, 1, {
    sandboxes: {
      list: async () => undefined,
      open: async () => ({
        size: async () => size,
        read: async (_position, length) => {
          asked.push(length);
          return Buffer.alloc(length, 0x2e);
        },
        close: async () => undefined,
      }),
    },
  });
  const path = `${log_path}?offset=0`;
  let received = 0;
  await new Promise<void>((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port: served.port, path, agent: false }, response => {
      response.pause();
      // The server fills what lies between us and then waits; asked again and again, it has not read on.
      let before = -1;
      void until('the server to wait', () => {
        const still = asked.length === before;
        before = asked.length;
        return still && asked.length > 0;
      }).then(() => {
        t.true(asked.reduce((sum, length) => sum + length, 0) < size / 2);
        response.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        response.on('end', resolve);
        response.resume();
      }, reject);
    });
    request.on('error', reject);
  });
  t.is(received, size);
  t.true(Math.max(...asked) <= limits_default.log_follow_bytes_max);
});

test('followers are let go when the server closes', async t => {
  const served = await withRun(t);
  served.files.set(file(1), 'x');
  const follower = listen(t, served, `${log_path}?follow=true`);
  await until('the text', () => follower.text() === 'x');
  await served.server.close();
  await until('the end', () => follower.state.ended);
  t.pass();
});

test('what a task writes is never taken for a page', async t => {
  const served = await withRun(t);
  served.files.set(file(1), '<script>alert(1)</script>');
  const { headers } = await served.ask('GET', log_path);
  t.is(headers['content-type'], 'text/plain; charset=utf-8');
  t.is(headers['x-content-type-options'], 'nosniff');
});
