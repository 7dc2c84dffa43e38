// job-notify.test.ts: what a job may say of who is to be told, and what is refused with its place.

import test from 'ava';
import { type JobSubmission, readJob } from '../actors/model/job.ts';
import { placeholders } from '../actors/model/letter-template.ts';
import { ownersOf, unreachable } from '../actors/model/notify.ts';
import type { Problem } from '../schedules/problem.ts';
import { settings } from '../settings.ts';

const base: JobSubmission = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };
const problems = (more: object): readonly Problem[] => {
  const read = readJob({ ...base, ...more });
  return read.ok ? [] : read.problems;
};

test('what is asked for reads back as it was written, each event once', t => {
  const read = readJob({
    ...base,
    notify: [
      {
        on: ['failed', 'failed', 'late'],
        to: [{ channel: 'mail', to: 'a@example.com' }, { channel: 'slack' }],
        subject: '{{ job }}!',
      },
    ],
    late_after_ms: 60_000,
  });
  t.true(read.ok);
  t.deepEqual(read.ok && read.value.notify, [
    {
      on: ['failed', 'late'],
      to: [{ channel: 'mail', to: 'a@example.com' }, { channel: 'slack' }],
      subject: '{{ job }}!',
    },
  ]);
  t.is(read.ok && read.value.late_after_ms, 60_000);
  t.deepEqual(readJob(read.ok && read.value), read);
});

test('every mistake is told with its place and what would be right', t => {
  const found = problems({
    notify: [
      {
        on: ['failed'],
        to: [
          { channel: 'mail', to: 'two@example.com, three@example.com' },
          { channel: 'mail', to: 'a@example.com\r\nBcc: b@example.com' },
          { channel: 'webhook', to: 'file:///etc/passwd' },
          { channel: 'sentry', to: 'https://sentry.example.com' },
        ],
        text: 'so {{ comand }} and {{job}}',
      },
    ],
  });
  t.deepEqual(
    found.map(one => one.place),
    ['/notify/0/to/0/to', '/notify/0/to/1/to', '/notify/0/to/2/to', '/notify/0/to/3/to', '/notify/0/text'],
  );
  t.regex(found[4]!.message, /there is no \{\{comand\}\}/);
  t.regex(found[4]!.expected, /one of job, name, event, reason, command/);
  t.is(problems({ notify: [{ on: ['exploded'], to: [{ channel: 'mail' }] }] })[0]?.place, '/notify/0/on/0');
  t.is(problems({ notify: [{ on: ['failed'], to: [{ channel: 'pager' }] }] })[0]?.place, '/notify/0/to/0/channel');
  t.is(problems({ notify: [{ on: ['failed'], to: [] }] })[0]?.place, '/notify/0/to');
  t.is(problems({ notify: [{ on: ['failed'], to: [{ channel: 'slack' }], when: 'now' }] })[0]?.place, '/notify/0/when');
  t.is(problems({ service: true, late_after_ms: 1_000 })[0]?.place, '/late_after_ms');
  const long = { on: ['failed'], to: [{ channel: 'slack' }], text: '{{log}}'.repeat(51) };
  t.like(problems({ notify: [long] }), [{ place: '/notify/0/text', expected: 'at most 50' }]);
  t.is(problems({ pending_after_ms: 5 })[0]?.place, '/pending_after_ms');
});

test('a place that nobody here could carry a letter to is refused', t => {
  const notify = [
    {
      on: ['failed' as const],
      to: [
        { channel: 'slack' as const },
        { channel: 'mail' as const, to: 'a@b' },
        { channel: 'webhook' as const, to: 'https://x.example.com/' },
      ],
    },
  ];
  t.deepEqual(unreachable({ notify }, ['mail', 'slack']), []);
  t.deepEqual(
    unreachable({ notify }, []).map(({ place, expected }) => [place, expected]),
    [
      ['/notify/0/to/0/channel', '--slack-url on the server, or a "to" here'],
      ['/notify/0/to/1/channel', '--mail-server on the server'],
    ],
  );
});

test('owners are the distinct mailboxes of the field', t => {
  t.deepEqual(ownersOf(' a@example.com,, b@example.com ,a@example.com, nobody, <c@example.com>,d@e x'), [
    'a@example.com',
    'b@example.com',
  ]);
  t.deepEqual(ownersOf(undefined), []);
});

test("the server's own templates know the same names as those of jobs", t => {
  const { notify_subject, notify_text } = settings;
  const all = Object.keys(placeholders)
    .map(name => `{{${name}}}`)
    .join(' and ');
  t.is(notify_text.read([all]), all);
  t.is(notify_text.read(['two\nlines {{ log }} { {x} }']), 'two\nlines {{ log }} { {x} }');
  t.is(notify_subject.read(['{{name}} {{command_line}}']), undefined);
  t.is(notify_subject.read(['{{name']), undefined);
  t.regex(notify_subject.expected, /cluster$/);
});
