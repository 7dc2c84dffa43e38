// chat.test.ts: letters as messages of Slack and Mattermost, to real HTTP servers in their place.

import test from 'ava';
import fc from 'fast-check';
import { type ChatOptions, createChat, messageOf } from '../../transport/notify/chat.ts';
import { createPost } from '../../transport/notify/post.ts';
import { httpSink } from '../support/http-sink.ts';
import { letter, patient } from './letters.ts';

const chat = (more: Partial<ChatOptions> = {}, private_allowed = false) =>
  createChat({
    post: createPost({ version: '1', timeout_ms: 30_000, answer_bytes_max: 4_096, private_allowed, now: () => 0 }),
    flag: '--slack-url',
    characters_max: 3_500,
    ...more,
  });

test('a letter arrives as a text: the subject, and what there is to say in a fence', async t => {
  const sink = await httpSink(t);
  const channel = chat({ url: `${sink.url}/services/T/B/key` });
  t.deepEqual(await channel.deliver(letter('slack', ''), patient()), { type: 'delivered' });
  const [request] = sink.requests;
  t.is(request!.path, '/services/T/B/key');
  t.is(request!.headers['content-type'], 'application/json');
  t.is(request!.headers['horae-delivery'], 'letter-1');
  t.deepEqual(JSON.parse(request!.body), {
    text: "[Horae] job 'prod/web/report' failed\n```\nIt failed.\nThe last lines:\ndisk is full\n```",
  });
});

test('a job may name a webhook of its own, outside; who names none and has none is told the setting', async t => {
  const sink = await httpSink(t);
  const own = letter('slack', `${sink.url}/team`);
  t.is((await chat().deliver(own, patient())).type, 'refused', 'this machine is inside');
  t.is((await chat({}, true).deliver(own, patient())).type, 'delivered');
  t.deepEqual(await chat().deliver(letter('slack', ''), patient()), {
    type: 'refused',
    message: 'nobody says where to: expected --slack-url',
  });
});

test('a channel that is too fast is told to wait, and one that is gone is told so', async t => {
  const sink = await httpSink(t);
  const channel = chat({ url: sink.url });
  sink.answer = () => ({ status: 429, headers: { 'Retry-After': '30' }, body: 'rate_limited' });
  t.deepEqual(await channel.deliver(letter('slack', ''), patient()), {
    type: 'failed',
    message: 'the server answered 429 rate_limited',
    retry_after_ms: 30_000,
  });
  sink.answer = () => ({ status: 404, body: 'no_service' });
  t.is((await channel.deliver(letter('slack', ''), patient())).type, 'refused');
  sink.answer = () => ({ status: 500 });
  t.is((await channel.deliver(letter('slack', ''), patient())).type, 'failed');
});

test('nothing in a name, a command or a log calls people, makes links, or ends the fence', t => {
  const evil = '<!channel> <@U123> <https://evil.example|click> & @channel @here @all @Everyone ```';
  const message = messageOf(evil, `${evil}\nops@hereford.example`, 3_500);
  t.false(/<|>|&(?!amp;|lt;|gt;)/.test(message));
  t.false(/@(channel|here|all|everyone)\b/i.test(message));
  t.is(message.split('```').length, 3, 'the fence begins once and ends once');
  t.true(message.includes('ops@hereford.example'), 'an address stays one');
  t.is(messageOf('a\nb\u2028c', '  ', 3_500), 'a b c', 'no text, no fence');
});

test('what is too long loses its middle and keeps both ends', t => {
  const text = `It failed.\n${'x'.repeat(10_000)}\nthe last line`;
  const message = messageOf('subject', text, 1_000);
  t.true(message.length <= 1_000);
  t.true(message.length > 700, 'no more goes than must');
  t.regex(message, /^subject\n```\nIt failed\./);
  t.regex(message, /\[\.\.\. \d+ characters left out \.\.\.\]/);
  t.regex(message, /the last line\n```$/);
});

test('whatever is said, a message is never longer than allowed and is well-formed text', t => {
  const any = fc.string({ unit: 'binary', maxLength: 400 });
  t.notThrows(() =>
    fc.assert(
      fc.property(any, any, fc.integer({ min: 200, max: 300 }), fc.nat(40), (subject, text, characters_max, times) => {
        const message = messageOf(subject, text.repeat(times), characters_max);
        return (
          message.length <= characters_max && message.isWellFormed() && [1, 3].includes(message.split('```').length)
        );
      }),
      { numRuns: 500 },
    ),
  );
});
