// input.test.ts: nonsense, malice and accidents, sent to the real program over real sockets: a clear no, and no trace.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import type { Child } from '../support/child.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { type Api, jobsOf, startHorae } from './horae.ts';

// One program takes all the blows: after each of them it must be as it was.
const owner = fileOwner();
let api: Api;
let child: Child;
let port: number;
test.before(async () => {
  ({ api, child } = await startHorae(owner, join(await tempDir(owner), 'data')));
  port = Number(new URL(api.url).port);
  const answer = await api.request('POST', '/api/v1/jobs', job({ name: 'witness' }));
  if (answer.status !== 201) throw new Error(answer.text);
});
test.after.always(owner.clean);

const job = (fields: object) => ({
  role: 'me',
  environment: 'test',
  name: 'never',
  command: 'true',
  cron: '0 0 29 2 *',
  ...fields,
});

/** Nothing was stored by halves: the one job there was is the one there is, as it was. */
async function untouched(t: ExecutionContext): Promise<void> {
  const jobs = await jobsOf(api);
  t.deepEqual(
    jobs.map(({ key, version }) => ({ key, version })),
    [{ key: 'me/test/witness', version: 1 }],
  );
  t.is((await api.request('GET', '/api/v1/jobs/me/test/never/runs')).status, 404);
}

type Problems = {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly problems: readonly { readonly place: string; readonly message: string; readonly expected: string }[];
};
async function refused(
  t: ExecutionContext,
  status: number,
  body: string | object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Problems> {
  const answer = await api.request('POST', '/api/v1/jobs', body, headers);
  const sent = (typeof body === 'string' ? body : JSON.stringify(body)).slice(0, 120);
  t.is(answer.status, status, `${sent}: ${answer.text.slice(0, 500)}`);
  t.is(answer.headers.get('content-type'), 'application/problem+json', sent);
  t.true(answer.text.length < 20_000, sent);
  const document = answer.body() as Problems;
  t.is(document.status, status);
  t.true(document.detail.length > 0);
  return document;
}

test.serial('text that is not JSON is refused with its place', async t => {
  for (const text of [
    '',
    '{',
    '{"role": "me",}',
    '{"a":1}}',
    'null',
    '[]',
    '"job"',
    '{"role":"me"',
    "{'role': 1}",
    '\u0000',
    '{"a":NaN}',
  ])
    t.true(
      [400, 422].includes(
        (await api.request('POST', '/api/v1/jobs', text, { 'content-type': 'application/json' })).status,
      ),
      text,
    );
  const [problem] = (await refused(t, 400, '{\n  "role": "me",\n  "name" "x"\n}')).problems;
  t.regex(problem!.place, /line 3/);
  await untouched(t);
});

test.serial('a document that is nested without end is refused, in JSON and in YAML', async t => {
  const deep = 200_000;
  await refused(t, 400, `{"env":${'['.repeat(deep)}${']'.repeat(deep)}}`);
  await refused(t, 400, `{"env":${'{"a":'.repeat(deep)}`);
  const yaml = { 'content-type': 'application/yaml' };
  await refused(t, 400, `env: ${'['.repeat(deep)}${']'.repeat(deep)}`, yaml);
  await refused(t, 400, `env: ${'- '.repeat(deep)}x`, yaml);
  await untouched(t);
});

test.serial('a bomb of YAML aliases does not go off', async t => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level++)
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
  const before = rss();
  await refused(t, 400, lines.join('\n'), { 'content-type': 'application/yaml' });
  t.true(rss() - before < 50 * 2 ** 20);
  await untouched(t);
});

test.serial('unknown fields and wrong types are told all at once', async t => {
  const { problems } = await refused(
    t,
    422,
    job({ comand: 'x', cpus: '1', mem: true, instances: 1.5, env: { A: 1 }, ports: 'http', service: 'no' }),
  );
  for (const place of ['/comand', '/cpus', '/mem', '/instances', '/env/A', '/ports', '/service'])
    t.is(problems.filter(problem => problem.place === place).length, 1, `${place} in ${JSON.stringify(problems)}`);
  t.true(problems.every(({ message, expected }) => message.length > 0 && expected.length > 0));
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const answer = await api.request(
      'POST',
      '/api/v1/jobs',
      `${JSON.stringify(job({})).slice(0, -1)},"${name}":{"x":1}}`,
    );
    t.true([400, 422].includes(answer.status), `${name}: ${answer.text}`);
  }
  await untouched(t);
});

test.serial('schedules that cannot be are refused', async t => {
  const wrong: readonly object[] = [
    { cron: '0 0 30 2 *' },
    { cron: '0 0 31 4,6,9,11 *' },
    { cron: '0 25 * * *' },
    { cron: '60 * * * *' },
    { cron: '* * * *' },
    { cron: '* * * * * * * * *' },
    { cron: '' },
    { cron: `${'0,'.repeat(5_000)}0 * * * *` },
    { cron: '*/0 * * * *' },
    { cron: '5-1/x * * * *' },
    { cron: '0 0 * * *', zone: 'Mars/Olympus' },
    { schedule: 'R/2026-01-01T00:00:00Z/PT0S' },
    { schedule: 'R/2026-01-01T25:00:00Z/PT1H' },
    { schedule: 'R/2026-02-30T00:00:00Z/PT1H' },
    { schedule: 'R5/2001-01-01T00:00:00Z/PT1H' },
    { schedule: 'R0/2001-01-01T00:00:00Z/PT1H' },
    { schedule: 'R-1/2026-01-01T00:00:00Z/PT1H' },
    { schedule: 'R99999999999999999999/2001-01-01T00:00:00Z/PT1S/' },
    { schedule: 'R/2026-01-01T00:00:00Z/-PT1H' },
    { schedule: 'every now and then' },
    { schedule: 'R/2026-01-01T00:00:00Z/PT1H', cron: '* * * * *' },
    {
      schedules: [
        { cron: '* * * * *', id: 'a' },
        { cron: '* * * * *', id: 'a' },
      ],
    },
    { schedules: [{}] },
    { service: true },
  ];
  for (const fields of wrong) {
    const given =
      'cron' in fields ? job(fields) : job({ cron: 'service' in fields ? '* * * * *' : undefined, ...fields });
    const { problems } = await refused(t, 422, given);
    t.true(problems.length > 0, JSON.stringify(fields).slice(0, 100));
  }
  await untouched(t);
});

test.serial('names that no job can have are refused', async t => {
  const names = [
    '',
    ' ',
    '.',
    '..',
    'a/b',
    '../../etc/passwd',
    'a b',
    'a\nb',
    'a\u0000b',
    '-a',
    'é',
    '💥',
    'a:b',
    'x'.repeat(65),
  ];
  for (const name of names)
    for (const field of ['name', 'role', 'environment']) await refused(t, 422, job({ [field]: name }));
  for (const key of ['A B', 'A=B', '1A', '']) await refused(t, 422, job({ env: { [key]: 'x' } }));
  for (const path of ['/api/v1/jobs/me/test/..%2f..', '/api/v1/jobs/%00/%00/%00', '/api/v1/jobs/me/test/%ff'])
    t.true([400, 404].includes((await api.request('GET', path)).status), path);
  await untouched(t);
});

test.serial('resources that are negative, absurd or no numbers are refused', async t => {
  const numbers = ['-1', '0', '1e300', '1e999', '-0.0001'];
  for (const number of numbers)
    for (const field of ['cpus', 'mem']) {
      const text = JSON.stringify(job({ [field]: 'HERE' })).replace('"HERE"', number);
      t.true([400, 422].includes((await api.request('POST', '/api/v1/jobs', text)).status), text);
    }
  for (const fields of [
    { disk: -1 },
    { instances: 0 },
    { instances: 1_000_000 },
    { instances: -3 },
    { max_task_failures: 0 },
    { retries: -1 },
    { kill_grace_ms: -1 },
    { ports: ['a', 'a'] },
    { ports: Array.from({ length: 101 }, (_, index) => `p${index}`) },
    { priority: 1e12 },
    { overlap: { policy: 'whatever' } },
    { overlap: { policy: 'allow', max: 0 } },
  ])
    await refused(t, 422, job(fields));
  await untouched(t);
});

test.serial('a body of a hundred megabytes is refused and does not reach the memory', async t => {
  const before = rss();
  for (const announced of [true, false]) {
    const { status, sent_bytes } = await flood(100 * 2 ** 20, announced);
    t.is(status, 413, `announced: ${announced}`);
    t.log(`refused after ${Math.round(sent_bytes / 2 ** 20)} MB (${announced ? 'with' : 'without'} Content-Length)`);
  }
  const grown = (rss() - before) / 2 ** 20;
  t.true(grown < 50, `it grew by ${grown} MB`);
  await untouched(t);
});

test.serial('what a page can send without being asked is refused by its type', async t => {
  const text = JSON.stringify(job({}));
  for (const type of [
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/form-data; boundary=x',
    'text/html',
  ])
    await refused(t, 415, text, { 'content-type': type });
  await refused(t, 415, text, { 'content-type': 'application/json; charset=utf-16' });
  await untouched(t);
});

test.serial('a page of another origin may not write, and a name that is not ours is not answered', async t => {
  const text = JSON.stringify(job({}));
  for (const origin of ['https://evil.example', 'null', `http://127.0.0.1:${port + 1}`, `https://127.0.0.1:${port}`])
    await refused(t, 403, text, { origin });
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1:1', '', '127.0.0.1.evil.example']) {
    const [head] = (await raw(`GET /api/v1/jobs HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).split('\r\n');
    t.regex(head!, /^HTTP\/1\.1 40[03] /, host);
  }
  const own = await api.request('GET', '/api/v1/health', undefined, { origin: api.url });
  t.is(own.status, 200);
  await untouched(t);
});

test.serial('a WebSocket from another origin, or under another name, is refused', async t => {
  const url = `${api.url.replace('http', 'ws')}/api/v1/feed`;
  const open = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const socket = new WebSocket(url, { headers });
      socket.on('unexpected-response', (request, response) => {
        resolve(response.statusCode ?? 0);
        request.destroy();
      });
      socket.on('open', () => {
        resolve(101);
        socket.terminate();
      });
      socket.on('error', reject);
    });
  t.is(await open({ origin: 'https://evil.example' }), 403);
  t.is(await open({ origin: 'null' }), 403);
  t.is(await open({ host: 'evil.example' }), 403);
  t.is(await open({ origin: api.url }), 101);
});

test.serial('what is not HTTP is told so, and disturbs nobody', async t => {
  for (const noise of [
    '\u0016\u0003\u0001\u0002\u0000\r\n\r\n',
    'GET\r\n\r\n',
    'EHLO me\r\n\r\n',
    `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  ])
    t.regex(await raw(noise), /^HTTP\/1\.1 4\d\d /);
  const post = `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  const smuggled = `${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  t.regex(await raw(smuggled), /^HTTP\/1\.1 400 /);
  const cut = `${post}Content-Length: 500\r\n\r\n{"role":`;
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.end(cut);
  socket.resume();
  await once(socket, 'close');
  await untouched(t);
});

test.serial('methods, parameters and paths that do not exist are told so', async t => {
  t.is((await api.request('PATCH', '/api/v1/jobs')).status, 405);
  t.is((await api.request('GET', '/api/v1/nothing')).status, 404);
  t.is((await api.request('GET', '/api/v1/jobs?limit=-1')).status, 400);
  t.is((await api.request('GET', '/api/v1/jobs?limit=1&limit=2')).status, 400);
  t.is((await api.request('GET', '/api/v1/jobs?colour=red')).status, 400);
  t.is((await api.request('PUT', '/api/v1/jobs/me/test/witness', job({ name: 'witness' }))).status, 428);
  t.is(
    (await api.request('PUT', '/api/v1/jobs/me/test/witness', job({ name: 'witness' }), { 'if-match': '"9.9"' }))
      .status,
    412,
  );
  t.is((await api.request('PUT', '/api/v1/jobs/me/test/never', job({}), { 'if-match': '*' })).status, 404);
  t.is((await api.request('POST', '/api/v1/jobs', job({ name: 'witness' }))).status, 409);
  t.is((await api.request('DELETE', '/api/v1/jobs/me/test/never')).status, 404);
  await untouched(t);
});

test.serial('the Chronos dialect refuses nonsense in its own words, and keeps nothing of it', async t => {
  const sample = { schedule: 'R/2012-10-01T05:52:00Z/PT1H', name: 'never', command: 'true' };
  for (const wrong of [
    '{',
    { ...sample, schedule: 'R/2012-13-45T00:00:00Z/PT1H' },
    { ...sample, schedule: 'R/2012-10-01T05:52:00Z/PT0S' },
    { ...sample, name: '../etc' },
    { ...sample, name: '' },
    { ...sample, cpus: -1 },
    { ...sample, command: null },
  ]) {
    const answer = await api.request('POST', '/scheduler/iso8601', wrong);
    t.is(answer.status, 400, `${JSON.stringify(wrong)}: ${answer.text}`);
    t.false(answer.text.includes('    at '), answer.text);
  }
  await untouched(t);
});

test.serial('after all of that it lives, and has made no error of its own', t => {
  t.true(readFileSync(`/proc/${child.pid}/stat`, 'utf8').length > 0);
  const errors = child
    .output()
    .split('\n')
    .filter(line => /"level":(50|60)/.test(line));
  t.deepEqual(errors, []);
});

function rss(): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** Sends bytes over a bare connection and gives back all that comes until it closes. */
async function raw(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', part => parts.push(part));
  socket.on('error', () => undefined); // A reset is an answer too.
  await once(socket, 'connect');
  socket.write(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  return Buffer.concat(parts).toString('latin1');
}

/** A body without end, sent as fast as it is taken, until there is an answer. */
function flood(bytes: number, announced: boolean): Promise<{ status: number; sent_bytes: number }> {
  return new Promise(resolve => {
    const headers = { 'content-type': 'application/json', ...(announced ? { 'content-length': bytes } : {}) };
    const sending = httpRequest({ host: '127.0.0.1', port, path: '/api/v1/jobs', method: 'POST', headers });
    const piece = Buffer.alloc(65_536, 0x20);
    let sent_bytes = 0;
    let status = 0;
    const push = () => {
      while (status === 0 && sent_bytes < bytes) {
        sent_bytes += piece.length;
        if (!sending.write(piece)) return;
      }
      if (status === 0) sending.end();
    };
    sending.on('drain', push);
    sending.on('response', response => {
      status = response.statusCode ?? 0;
      response.resume();
      sending.destroy();
    });
    // Cut off in the middle of sending, with the answer before that or not at all.
    sending.on('error', () => undefined);
    sending.on('close', () => resolve({ status, sent_bytes }));
    push();
  });
}
