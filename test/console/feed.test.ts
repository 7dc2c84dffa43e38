// feed.test.ts: what a page is told over its WebSocket, and what becomes of one that is slow, rude or gone.

import { connect } from 'node:net';
import test from 'ava';
import { Packr } from 'msgpackr';
import { WebSocket } from 'ws';
import type { JobFrame } from '../../transport/console/messages.ts';
import { until } from '../support/until.ts';
import { finished, gone, instance, job, list_watch, run, stage, start } from './stage.ts';

test('a page that asks for the list gets the whole window, then what changes in it', async t => {
  const stood = await stage(t, { jobs: [job('www/prod/b'), job('www/prod/a')] });
  const page = await stood.open();
  page.watch(list_watch);
  await page.until('the list', () => page.list.total === 2);
  t.deepEqual(page.list.keys, ['www/prod/a', 'www/prod/b']);
  t.true(page.frames[0]!.fresh);

  stood.commit(run('www/prod/b', '1.m.x'), instance('www/prod/b', '1.m.x', 0, 'running'));
  await page.until('the run', () => page.list.rows.get('www/prod/b')?.state === 'running');
  const last = page.frames.at(-1)!;
  t.is(last.fresh, undefined);
  t.deepEqual(last.type === 'list' && last.rows.map(row => row.key), ['www/prod/b'], 'the other row is not sent again');
  t.is(page.list.counters.running, 1);

  stood.commit(job('www/prod/aa'));
  await page.until('the new job', () => page.list.keys.length === 3);
  t.deepEqual(page.list.keys, ['www/prod/a', 'www/prod/aa', 'www/prod/b']);
  stood.commit(gone('job', 'www/prod/a'));
  await page.until('the end of a job', () => page.list.total === 2);
  t.deepEqual(page.list.keys, ['www/prod/aa', 'www/prod/b']);
});

test('a page of a cluster is told who leads, and told again when that changes; others are told nothing of it', async t => {
  let leader: { id: string; url: string } | undefined = { id: 'a', url: 'http://a:1' };
  const stood = await stage(t, { nodes: { node_id: 'b', leader: () => leader } });
  const page = await stood.open();
  await page.until('the leader', () => page.leaders.length === 1);
  t.like(page.leaders[0], { node: 'b', leader: { id: 'a', url: 'http://a:1' } });
  leader = undefined;
  await page.until('the news that nobody leads', () => page.leaders.length === 2);
  t.is(page.leaders[1]!.leader, null);
  leader = { id: 'b', url: 'http://b:1' };
  await page.until('the next leader', () => page.leaders.length === 3);
  const alone = await stage(t, { jobs: [job('www/prod/a')] });
  const other = await alone.open();
  other.watch(list_watch);
  await other.until('the list', () => other.list.total === 1);
  t.is(other.leaders.length, 0);
});

test('a page is told of letters when there are others than before, as far as it may see them', async t => {
  const letter = (id: string, role: string, dead: boolean) => ({
    kind: 'letter',
    key: id,
    body: {
      letter: { id, channel: 'mail', to: 'a@example.com', subject: '', text: '', notices: [], more: 0 },
      roles: [role],
      formed_at: 0,
      since: 0,
      attempts: 1,
      ...(dead ? { dead_at: 1 } : {}),
    },
  });
  for (const [sees, dead] of [
    [undefined, 2],
    [(role: string) => role === 'www', 1],
  ] as const) {
    const { open, commit } = await stage(t, sees === undefined ? {} : { sees });
    const page = await open();
    page.watch(list_watch);
    await page.until('the list', () => page.list.total === 0);
    t.deepEqual(page.letters, []);
    commit(letter('a', 'www', true), letter('b', 'ops', true), letter('c', 'www', false));
    await page.until('word of them', () => page.letters.length === 1);
    t.like(page.letters[0], { dead, pending: 1 });
    commit({ kind: 'letter', key: 'c', body: undefined });
    await page.until('word of the change', () => page.letters.length === 2);
    t.like(page.letters[1], { dead, pending: 0 });
  }
});

test('many changes within a moment are one frame', async t => {
  const stood = await stage(t, { jobs: [job('www/prod/a')] });
  const page = await stood.open();
  page.watch(list_watch);
  await page.until('the list', () => page.list.total === 1);
  const before = page.frames.length;
  for (let n = 0; n < 100; n++) stood.commit(job(`www/prod/n${n}`));
  await page.until('all of them', () => page.list.total === 101);
  t.is(page.frames.length, before + 1);
});

test('search, filter and order choose the window, and its size has a bound', async t => {
  const jobs = Array.from({ length: 300 }, (_, n) =>
    job(`www/prod/n${String(n).padStart(3, '0')}`, { description: n % 2 ? 'Odd one' : 'even' }),
  );
  const stood = await stage(t, { jobs: [...jobs, job('ops/prod/off', { enabled: false })] });
  stood.next_at.set('www/prod/n007', start + 5_000).set('www/prod/n005', start + 9_000);
  const page = await stood.open();
  page.watch({ ...list_watch, search: 'ODD n00', id: 2 });
  await page.until('the search', () => page.list.total === 5);
  page.watch({ ...list_watch, filter: 'disabled', id: 3 });
  await page.until('the filter', () => page.list.total === 1);
  t.deepEqual(page.list.keys, ['ops/prod/off']);
  page.watch({ ...list_watch, sort: 'next', limit: 3, id: 4 });
  await page.until('the order', () => page.list.total === 301);
  t.deepEqual(page.list.keys, ['www/prod/n007', 'www/prod/n005', 'ops/prod/off'], 'jobs without a next run come last');
  page.watch({ ...list_watch, offset: 299, id: 5 });
  await page.until('the end of the list', () => page.frames.at(-1)!.id === 5);
  t.is(page.list.keys.length, 2);
  page.watch({ ...list_watch, limit: 201 });
  t.is((await page.closed).code, 1008);
});

test('when a job is due next is shown although no record says so', async t => {
  const stood = await stage(t, { jobs: [job('www/prod/a', { cron: '0 * * * *' })] });
  const page = await stood.open();
  page.watch(list_watch);
  await page.until('the list', () => page.list.total === 1);
  t.is(page.list.rows.get('www/prod/a')?.words, 'at minute 0 past the hour, in UTC');
  stood.next_at.set('www/prod/a', start + 3_600_000);
  await page.until('the next run', () => page.list.rows.get('www/prod/a')?.next_at === start + 3_600_000);
  t.is(page.list.rows.get('www/prod/a')?.state, 'scheduled');
});

test('a page that watches one job gets its parts, and then only those that change', async t => {
  const key = 'www/prod/a';
  const stood = await stage(t, { jobs: [job(key, { cron: '*/5 * * * *', zone: 'Europe/Vienna' }), job('www/prod/b')] });
  const page = await stood.open();
  const frames = page.frames as JobFrame[];
  page.watch({ watch: 'job', id: 1, key });
  await page.until('the job', () => frames.length === 1);
  t.is(frames[0]!.parts.head?.etag, '"1.1"');
  t.is(frames[0]!.parts.schedules?.[0]?.words, 'every 5 minutes, in Europe/Vienna');

  stood.commit(job('www/prod/b', {}, 2));
  stood.commit(run(key, '1.m.x', 200));
  stood.commit(...Array.from({ length: 200 }, (_, index) => instance(key, '1.m.x', index, 'pending')));
  await page.until('the run', () => frames.at(-1)!.parts.runs?.[0]?.statuses.pending === 200);
  t.is(frames.at(-1)!.parts.runs![0]!.instances.length, 100, 'a bound on the instances that are listed');
  t.is(frames.at(-1)!.parts.finished, undefined);

  stood.pending.push({ instance: `${key}/1.m.x/7`, since: start, summary: 'no host has 900 cpus', why: {} });
  await page.until('the reason', () => frames.at(-1)!.parts.pending?.[0]?.summary === 'no host has 900 cpus');
  t.is(frames.at(-1)!.parts.runs, undefined);

  stood.commit(finished(key, '1.m.w'));
  await page.until('the history', () => frames.at(-1)!.parts.finished?.[0]?.run === '1.m.w');
  stood.commit(gone('job', key));
  await page.until('the end of the job', () => frames.at(-1)!.parts.head === null);
});

test('a page that may read one role sees and counts nothing else', async t => {
  const jobs = [job('www/prod/a'), job('ops/prod/b'), job('ops/prod/c', { enabled: false })];
  const stood = await stage(t, { jobs, sees: role => role === 'www' });
  const page = await stood.open();
  page.watch(list_watch);
  await page.until('the list', () => page.list.total === 1);
  t.deepEqual(page.list.keys, ['www/prod/a']);
  t.is(page.list.counters.all, 1);
  t.is(page.list.counters.disabled, 0);
  page.watch({ watch: 'job', id: 2, key: 'ops/prod/b' });
  const frame = await page.until('the answer', () => page.frames.find((each): each is JobFrame => each.type === 'job'));
  t.deepEqual(frame.parts, { head: null });
});

test('a reader that does not read is left alone, then shown the present picture', async t => {
  const stood = await stage(t, { jobs: [], socket_frames_max: 10 });
  const page = await stood.open();
  page.watch({ ...list_watch, limit: 200 });
  await page.until('the list', () => page.list.total === 0);
  page.ws.pause();
  const { metrics, clock } = stood;
  const description = 'x'.repeat(150);
  const change = (n: number) =>
    Array.from({ length: 200 }, (_, i) => job(`www/prod/n${i}`, { description: `${n} ${description}` }));
  // Changes pile up until neither the kernel nor the feed takes more: 250 frames of 60 kB, before the second ping.
  for (let n = 1; n <= 250; n++) {
    stood.commit(...change(n));
    clock.advanceTo(clock.now() + 101);
    await new Promise<void>(resolve => setImmediate(resolve));
  }
  t.is(metrics.value('horae_console_resnapshots_total'), 0);
  page.ws.resume();
  const shown = () => String(page.list.rows.get('www/prod/n0')?.description);
  await page.until('the present picture', () => shown().startsWith('250 '));
  t.is(metrics.value('horae_console_resnapshots_total'), 1);
  t.true(page.frames.length < 250, `${page.frames.length} frames for 250 changes`);
  t.is(page.frames.filter(frame => frame.fresh).length, 2);
});

for (const [what, data, code] of [
  ['a text frame', 'hello', 1003],
  ['bytes that are no msgpack', Buffer.from([0xc1, 0xc1, 0x00]), 1007],
  ['a value of another shape', new Packr({ useRecords: false }).pack({ watch: 'everything', id: 1 }), 1008],
  ['a list where an object is expected', new Packr({ useRecords: false }).pack([1, 2]), 1008],
  ['an endless question', Buffer.alloc(5_000, 0x90), 1009],
] as const)
  test(`${what} closes the socket and nothing else`, async t => {
    const stood = await stage(t, { jobs: [job('www/prod/a')] });
    const bystander = await stood.open();
    const page = await stood.open();
    page.send(data);
    t.is((await page.closed).code, code);
    bystander.watch(list_watch);
    await bystander.until('the list', () => bystander.list.total === 1);
    await until('one socket less', () => stood.feed.sockets() === 1);
  });

test('a page that no longer answers is let go, one that answers is kept', async t => {
  const stood = await stage(t, { jobs: [] });
  const page = await stood.open();
  const silent = connect(stood.port, '127.0.0.1');
  t.teardown(() => void silent.destroy());
  silent.write(
    'GET /api/v1/feed HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await until('two sockets', () => stood.feed.sockets() === 2);
  let pings = 0;
  page.ws.on('ping', () => pings++);
  stood.clock.advanceTo(start + 16_000);
  await until('the first ping', () => pings === 1);
  // Its pong was written before this; the feed reads it before a timer of a later moment.
  const before = stood.feed.sockets();
  t.is(before, 2);
  page.watch(list_watch);
  await page.until('an answer, behind the pong', () => page.list.total === 0);
  stood.clock.advanceTo(stood.clock.now() + 16_000);
  await until('the silent one gone', () => stood.feed.sockets() === 1);
  t.is(page.ws.readyState, WebSocket.OPEN);
});

test('sockets beyond the limit are answered 503, and all are told when the scheduler stops', async t => {
  const stood = await stage(t, { jobs: [], sockets_max: 1 });
  const page = await stood.open();
  await until('one socket', () => stood.feed.sockets() === 1);
  t.is(stood.metrics.value('horae_console_sockets'), 1);
  const further = new WebSocket(`ws://127.0.0.1:${stood.port}/`);
  const status = await new Promise(resolve => {
    further.on('unexpected-response', (_, response) => resolve(response.statusCode));
    further.on('error', resolve);
  });
  t.is(status, 503);
  t.deepEqual(stood.complaints, ['too many consoles']);
  stood.feed.close();
  t.is((await page.closed).code, 1001);
});

test('a mistake in a picture closes the pages and leaves the scheduler alone; who comes back sees', async t => {
  const stood = await stage(t, { jobs: [job('www/prod/a')] });
  const page = await stood.open();
  page.watch(list_watch);
  await page.until('the list', () => page.list.total === 1);
  stood.commit({ kind: 'job', key: 'www/prod/b', body: { job: undefined } });
  t.notThrows(() => stood.clock.advanceTo(stood.clock.now() + 200));
  t.is((await page.closed).code, 1011);
  t.deepEqual(stood.complaints, ['console feed failed']);
  stood.commit(gone('job', 'www/prod/b'));
  const again = await stood.open();
  again.watch(list_watch);
  await again.until('the list', () => again.list.total === 1);
});

test('a list of 20,000 jobs is put together piece by piece and complete', async t => {
  const jobs = Array.from({ length: 20_000 }, (_, n) => job(`www/prod/n${String(n).padStart(5, '0')}`));
  const stood = await stage(t, { jobs });
  const page = await stood.open();
  page.watch({ ...list_watch, offset: 19_990, limit: 20 });
  stood.commit(job('www/prod/zz'));
  await page.until('the end of the list', () => page.list.total === 20_001);
  t.is(page.list.keys.at(-1), 'www/prod/zz');
  t.is(page.list.counters.all, 20_001);
});
