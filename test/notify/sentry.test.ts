// sentry.test.ts: letters as events, in the envelopes that a Sentry reads, to a real HTTP server in its place.

import test from 'ava';
import type { Letter } from '../../actors/model/notices.ts';
import { createPost } from '../../transport/notify/post.ts';
import { createSentry, parseDsn } from '../../transport/notify/sentry.ts';
import { httpSink } from '../support/http-sink.ts';
import { letter, notice, patient } from './letters.ts';

const sentry = (dsn: string) => {
  const read = parseDsn(dsn);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const post = createPost({
    version: '1.2.3',
    timeout_ms: 30_000,
    answer_bytes_max: 4_096,
    private_allowed: false,
    now: () => 0,
  });
  return createSentry({ post, dsn: read.value, version: '1.2.3' });
};
/** The envelope as the server takes it apart: a header, and an item whose header says how long it is. */
function opened(body: string) {
  const [head, item, ...rest] = body.split('\n');
  const payload = rest.join('\n');
  const { length, type } = JSON.parse(item!) as { length: number; type: string };
  const event = Buffer.from(payload).subarray(0, length).toString();
  return {
    head: JSON.parse(head!),
    type,
    event: JSON.parse(event),
    after: Buffer.from(payload).subarray(length).toString(),
  };
}
const full: Letter = letter('sentry', '', { text: 'größer\nals erlaubt' });

test('a letter arrives as an event of its project, with level, tags and what more is known', async t => {
  const sink = await httpSink(t);
  const channel = sentry(`http://abc123@127.0.0.1:${sink.port}/sub/42`);
  t.deepEqual(await channel.deliver(full, patient()), { type: 'delivered' });
  const { method, path, headers, body } = sink.requests[0]!;
  t.deepEqual([method, path], ['POST', '/sub/api/42/envelope/']);
  t.is(headers['content-type'], 'application/x-sentry-envelope');
  t.is(headers['x-sentry-auth'], 'Sentry sentry_version=7, sentry_client=horae/1.2.3, sentry_key=abc123');
  const { head, type, event, after } = opened(body);
  t.is(type, 'event');
  t.is(after, '\n');
  t.regex(head.event_id, /^[0-9a-f]{32}$/);
  t.is(event.event_id, head.event_id);
  t.like(event, {
    timestamp: notice.at / 1_000,
    platform: 'other',
    level: 'error',
    logentry: { formatted: full.subject },
    server_name: 'agent-1.example.com',
    fingerprint: ['horae', 'failed', 'prod/web/report'],
    tags: {
      event: 'failed',
      job: 'prod/web/report',
      owner: 'ops@example.com',
      command: './report --month 11',
      host: 'agent-1.example.com',
    },
    extra: {
      text: 'größer\nals erlaubt',
      run: '7',
      task: 'horae.report.7',
      attempt: '3 of 3',
      command: './report --month 11',
      reason: 'Command exited with status 2',
    },
  });
});

test('the same letter is the same event, another one another', async t => {
  const sink = await httpSink(t);
  const channel = sentry(`http://k@127.0.0.1:${sink.port}/1`);
  for (const each of [full, full, { ...full, id: 'another' }]) await channel.deliver(each, patient());
  const [one, two, three] = sink.requests.map(({ body }) => body);
  t.is(one, two);
  t.not(opened(one!).head.event_id, opened(three!).head.event_id);
});

test('a project of an old client has a secret, and it is shown', async t => {
  const sink = await httpSink(t);
  await sentry(`http://k:s3cret@127.0.0.1:${sink.port}/1`).deliver(full, patient());
  t.regex(String(sink.requests[0]!.headers['x-sentry-auth']), /sentry_key=k, sentry_secret=s3cret$/);
});

test('of several notices an event has what they have in common, and the worst of their levels', async t => {
  const sink = await httpSink(t);
  const channel = sentry(`http://k@127.0.0.1:${sink.port}/1`);
  const notices = [
    { ...notice, event: 'succeeded' as const },
    { ...notice, event: 'late' as const, job: 'prod/web/other', at: notice.at + 500 },
  ];
  await channel.deliver({ ...full, notices, more: 7 }, patient());
  const { event } = opened(sink.requests[0]!.body);
  t.is(event.level, 'warning');
  t.is(event.timestamp, (notice.at + 500) / 1_000);
  t.deepEqual(event.fingerprint, ['horae', 'several', 'several']);
  t.deepEqual(Object.keys(event.tags), ['owner', 'command', 'host']);
  t.is(event.extra.more, '7');
});

test('no field is longer than a Sentry takes, and a tag is one line', async t => {
  const sink = await httpSink(t);
  const long = 'line\n'.repeat(10_000);
  await sentry(`http://k@127.0.0.1:${sink.port}/1`).deliver(
    { ...full, subject: long, text: long, notices: [{ ...notice, command: long, owner: 'a\nb', reason: long }] },
    patient(),
  );
  t.true(sink.requests[0]!.body.length < 32_768);
  const { tags } = opened(sink.requests[0]!.body).event;
  t.is(tags.owner, 'a b');
  t.true(tags.command.length <= 200);
});

test('a Sentry that is busy is asked again later, and one that will not have it is believed', async t => {
  const sink = await httpSink(t);
  const channel = sentry(`http://k@127.0.0.1:${sink.port}/1`);
  sink.answer = () => ({ status: 429, headers: { 'Retry-After': '60' } });
  t.like(await channel.deliver(full, patient()), { type: 'failed', retry_after_ms: 60_000 });
  sink.answer = () => ({ status: 403, body: '{"detail":"event submission rejected with_reason: ProjectId"}' });
  const refused = await channel.deliver(full, patient());
  t.is(refused.type, 'refused');
  t.regex(refused.type === 'refused' ? refused.message : '', /403 .*ProjectId/);
  t.is((await channel.deliver({ ...full, to: 'https://k@elsewhere.example/1' }, patient())).type, 'refused');
});

test('a data source name is read as it is written, and what is none is refused without being shown', t => {
  const endpoint = (text: string) => {
    const read = parseDsn(text);
    return read.ok ? read.value.endpoint.href : read.problems[0]!.message;
  };
  t.is(endpoint('https://k@o1.ingest.sentry.io/42'), 'https://o1.ingest.sentry.io/api/42/envelope/');
  t.is(endpoint('http://k:s@sentry.local:9000/a/b/7/'), 'http://sentry.local:9000/a/b/api/7/envelope/');
  t.is(endpoint('https://k@[::1]:9000/7'), 'https://[::1]:9000/api/7/envelope/');
  const wrong = {
    'sentry.example.com/42': /no address of http/,
    'ftp://k3y@sentry/42': /no address of http/,
    'https://sentry.example.com/42': /no key/,
    'https://:s3cret@sentry.example.com/42': /no key/,
    'https://k3y@sentry.example.com/': /number of a project/,
    'https://k3y@sentry.example.com/project': /number of a project/,
    'https://k3y@sentry.example.com/42?x=1': /behind the project/,
    'https://k3y%0d%0a:x@sentry.example.com/42': /no key/,
  };
  for (const [text, message] of Object.entries(wrong)) {
    const said = endpoint(text);
    t.regex(said, message, text);
    t.false(/k3y|s3cret/.test(said));
  }
});
