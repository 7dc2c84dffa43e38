// queue.test.ts: what waits to be told, and in which letters it goes out, whatever becomes of receivers and of the process.

import test from 'ava';
import type { LetterRecord, NoticeRecord, Place } from '../../actors/model/notices.ts';
import { limits, mail, noticed, Office, start } from './office.ts';

const hook = (n: number): Place => ({ channel: 'webhook', to: `https://hook${n}.example.com/` });

test('the first notice after a silence goes out after a short while, in a letter of its own words', t => {
  const office = new Office();
  office.note(noticed('a'));
  office.until(start + limits.gather_ms - 1);
  t.is(office.seen.length, 0);
  office.until(start + limits.gather_ms);
  t.is(office.seen.length, 1);
  t.like(office.seen[0]!.letter, {
    ...mail,
    subject: "[north] [Horae] job 'www/prod/ja' failed: it exited with 3",
    more: 0,
  });
  t.is(office.sent.length, 1);
  t.deepEqual(office.of('letter'), []);
  t.deepEqual(office.of('notice'), []);
});

test('a letter says where the console shows each job, where there is such a place', t => {
  const office = new Office({ console_url: 'https://horae.example.com/' });
  const odd = { ...noticed('b'), notice: { ...noticed('b').notice, job: 'www/prod/100% <x>' } };
  const own = { ...mail, words: { text: 'look at {{link}}' } };
  office.note(noticed('a'), odd, { ...noticed('c'), to: [own] });
  office.until(start + limits.gather_ms);
  const { letter } = office.seen[0]!;
  t.regex(letter.text, /^see: +https:\/\/horae\.example\.com\/#\/jobs\/www\/prod\/ja$/m);
  t.regex(letter.text, /^see: +https:\/\/horae\.example\.com\/#\/jobs\/www\/prod\/100%25%20%3Cx%3E$/m);
  t.regex(letter.text, /^look at https:\/\/horae\.example\.com\/#\/jobs\/www\/prod\/jc$/m);
  t.is(letter.notices[0]?.link, 'https://horae.example.com/#/jobs/www/prod/ja');
});

test('a thousand failures of one owner are one letter, which counts them and lists the first', t => {
  const office = new Office();
  office.note(...Array.from({ length: 1_000 }, (_, n) => noticed(n)));
  office.until(start + limits.gather_ms);
  t.is(office.seen.length, 1);
  const { letter } = office.seen[0]!;
  t.is(letter.subject, '[north] [Horae] 1000 notices: 1000 failed');
  t.deepEqual(
    letter.notices.map(one => one.job),
    ['www/prod/j0', 'www/prod/j1', 'www/prod/j2'],
  );
  t.is(letter.more, 997);
  t.regex(letter.text, /\.\.\. and 997 more\.$/);
  office.until(start + 10 * limits.interval_ms);
  t.is(office.seen.length, 1);
});

test('what happens after a letter waits for the interval, and goes together', t => {
  const office = new Office();
  office.note(noticed('a'));
  office.until(start + 5_000);
  for (let n = 0; n < 40; n++) {
    office.note(noticed(n));
    office.until(office.now + 1_000);
  }
  t.is(office.seen.length, 1);
  office.until(start + limits.gather_ms + limits.interval_ms);
  t.is(office.seen.length, 2);
  t.regex(office.seen[1]!.letter.subject, /40 notices: 40 failed/);
});

test('failures are listed before successes, whatever came first', t => {
  const office = new Office();
  office.note(...[0, 1, 2, 3].map(n => noticed(n, [mail], 'succeeded')), noticed('bad'));
  office.until(start + limits.gather_ms);
  t.deepEqual(
    office.seen[0]!.letter.notices.map(one => one.job),
    ['www/prod/jbad', 'www/prod/j0', 'www/prod/j1'],
  );
  t.is(office.seen[0]!.letter.subject, '[north] [Horae] 5 notices: 4 succeeded, 1 failed');
});

test('each address gets a letter of its own; one that is down holds up no other', t => {
  const office = new Office({ sending_max: 10 });
  office.answer = ({ to }) => (to.includes('hook1') ? undefined : { type: 'delivered' });
  office.note(noticed('a', [hook(1), hook(2), mail]));
  office.until(start + limits.gather_ms);
  t.deepEqual(office.sent.map(one => one.letter.to).sort(), [hook(2).to, mail.to].sort());
  t.is(office.under_way.length, 1);
});

test('a receiver that takes one job per message gets a letter for each, without waiting in between', t => {
  const office = new Office();
  office.note(...[1, 2, 3].map(n => noticed(n, [{ channel: 'webhook', to: '' }])));
  office.until(start);
  t.deepEqual(
    office.seen.map(one => one.letter.notices.map(each => each.job)),
    [['www/prod/j1'], ['www/prod/j2'], ['www/prod/j3']],
  );
  t.deepEqual(
    office.seen.map(one => one.letter.more),
    [0, 0, 0],
  );
});

test('a receiver that answers 500 for a day is tried ever more rarely, and then given up', t => {
  const office = new Office();
  office.answer = () => ({ type: 'failed', message: '500' });
  office.note(noticed('a'));
  for (let n = 0; n < 2_000; n++) {
    office.until(start + n * 43_200);
    office.note(noticed(`more${n}`));
  }
  const first = start + limits.gather_ms;
  office.until(first + limits.give_up_ms);
  const id = office.seen[0]!.letter.id;
  const tries = office.seen.filter(one => one.letter.id === id);
  t.is(tries.at(-1)!.at, first + limits.give_up_ms);
  t.true(tries.length < 170, `${tries.length} attempts`);
  t.true(tries.every(one => JSON.stringify(one.letter) === JSON.stringify(tries[0]!.letter)));
  office.until(office.now + limits.gather_ms);
  const letters = office.of<LetterRecord>('letter');
  t.like(
    letters.find(one => one.letter.id === id),
    { dead_at: first + limits.give_up_ms, message: '500' },
  );
  // A second letter was tried beside it, and gone with it; what came since then waits together.
  t.is(new Set(office.seen.map(one => one.letter.id)).size, 3);
  t.is(letters.filter(one => one.dead_at === undefined).length, 2);
});

test('a letter that alone cannot be delivered holds up the others of its place for a few attempts only', t => {
  const office = new Office();
  office.answer = letter =>
    letter.notices[0]!.job.endsWith('ja') ? { type: 'failed', message: '500' } : { type: 'delivered' };
  office.note(noticed('a'));
  office.until(start + 2_000);
  office.note(noticed('b'));
  office.until(start + 3_600_000);
  t.deepEqual(
    office.sent.map(one => one.letter.notices[0]!.job),
    ['www/prod/jb'],
  );
  t.true(office.sent[0]!.sent_at <= start + limits.gather_ms + limits.interval_ms);
  office.note(noticed('c'));
  office.until(start + 7_200_000);
  t.is(office.sent.length, 2);
  t.like(office.of<LetterRecord>('letter'), [{ dead_at: undefined }]);
  t.is(office.of<LetterRecord>('letter').length, 1);
});

test('one job whose letter cannot be delivered does not hold up those of most others where each has its own', t => {
  const office = new Office({ sending_max: 8 });
  office.answer = letter =>
    letter.notices[0]!.job.endsWith('j0') ? { type: 'failed', message: '500' } : { type: 'delivered' };
  const place: Place = { channel: 'sentry', to: '' };
  office.note(...Array.from({ length: 40 }, (_, n) => noticed(n, [place])));
  office.until(start);
  t.true(office.sent.length >= 20, `${office.sent.length} of 39 at once`);
  office.crash();
  office.until(start + 3_600_000);
  t.is(office.sent.length, 39);
  t.is(new Set(office.seen.map(one => one.letter.id)).size, 40);
});

test('word of a letter that comes twice, or when nobody waits for it, changes nothing', t => {
  const office = new Office({ sending_max: 1 });
  office.answer = () => undefined;
  office.note(noticed('a', [hook(1), hook(2)]));
  office.until(start + limits.gather_ms);
  const [first] = office.under_way;
  office.carried(first!, { type: 'failed', message: 'no' });
  office.carried(first!, { type: 'delivered' });
  office.carried({ ...first!, id: 'of nobody' }, { type: 'delivered' });
  t.deepEqual(office.sent, []);
  t.like(
    office.of<LetterRecord>('letter').find(one => one.letter.id === first!.id),
    { attempts: 1, message: 'no' },
  );
  // Nor does it make room for more than may be sent at once.
  t.is(office.seen.length, 2);
});

test('a refusal is final: the letter is put aside at once, and the next one goes its way', t => {
  const office = new Office();
  office.answer = letter =>
    letter.notices[0]!.job.endsWith('ja') ? { type: 'refused', message: '550' } : { type: 'delivered' };
  office.note(noticed('a'));
  office.until(start + 1_000);
  t.like(office.of<LetterRecord>('letter')[0], { message: '550', dead_at: start + 1_000, attempts: 1 });
  office.note(noticed('b'));
  office.until(start + 200_000);
  t.is(office.sent.length, 1);
});

test('a receiver that asks for a pause gets it, up to the longest that we make', t => {
  for (const [wish, pause] of [
    [30_000, 30_000],
    [1e12, limits.backoff.delay_ms_max],
  ] as const) {
    const office = new Office();
    office.answer = () => ({ type: 'failed', message: '429', retry_after_ms: wish });
    office.note(noticed('a'));
    office.until(start + 2_000_000);
    t.is(office.seen[1]!.at - office.seen[0]!.at, pause);
  }
});

test('no more letters of a channel are sent at once than may be; the others stand in line', t => {
  const office = new Office();
  office.answer = () => undefined;
  office.note(noticed('a', [hook(1), hook(2), hook(3), hook(4), hook(5), mail]));
  office.until(start + 1_000);
  t.deepEqual(
    office.under_way.map(one => one.to),
    [hook(1).to, hook(2).to, mail.to],
  );
  office.carried(office.under_way[0]!, { type: 'failed', message: 'no' });
  t.deepEqual(
    office.under_way.map(one => one.to),
    [hook(2).to, mail.to, hook(3).to],
  );
});

test('there are never more letters under way than may be, and whoever waited gets one when there is room', t => {
  const office = new Office({ letters_max: 3 });
  office.answer = () => ({ type: 'failed', message: 'down' });
  office.note(
    noticed(
      'a',
      Array.from({ length: 10 }, (_, n) => hook(n)),
    ),
  );
  office.until(start + 30_000);
  t.is(office.of('letter').length, 3);
  office.answer = () => ({ type: 'delivered' });
  office.until(start + 3_600_000);
  t.is(office.sent.length, 10);
});

test('beyond the limit the oldest success goes first, and the next letter says how many were left out', t => {
  const office = new Office({ notices_max: 4, listed_max: 10 });
  office.note(noticed('f1'), noticed('s1', [mail], 'succeeded'), noticed('s2', [mail], 'succeeded'), noticed('f2'));
  office.note(noticed('f3'));
  t.deepEqual(
    office
      .of<NoticeRecord>('notice')
      .map(one => one.notice.job)
      .sort(),
    ['f1', 'f2', 'f3', 's2'].map(n => `www/prod/j${n}`),
  );
  office.note(noticed('f4'), noticed('f5'));
  t.deepEqual(
    office
      .of<NoticeRecord>('notice')
      .map(one => one.notice.job)
      .sort(),
    ['f2', 'f3', 'f4', 'f5'].map(n => `www/prod/j${n}`),
  );
  office.crash();
  office.until(start + 5_000);
  t.regex(office.seen[0]!.letter.text, /3 further notices were left out/);
  office.note(noticed('later'));
  office.until(start + 500_000);
  t.notRegex(office.seen[1]!.letter.text, /left out/);
});

test('the last lines of a log are in the letter, and in each repetition of it the same', t => {
  const office = new Office();
  let reads = 0;
  office.log = task => `${task} said ${++reads}`;
  office.answer = () => ({ type: 'failed', message: 'no' });
  const { notice, to } = noticed('a');
  office.note({ notice: { ...notice, task: 'www:prod:ja:1.r:0:1' }, to, agent_id: 'a1' });
  office.until(start + 100_000);
  office.crash();
  office.until(start + 500_000);
  t.is(reads, 1);
  t.true(office.seen.length > 3);
  t.true(office.seen.every(one => one.letter.text === office.seen[0]!.letter.text));
  t.regex(office.seen[0]!.letter.text, /www:prod:ja:1\.r:0:1 said 1/);
});

test("the server's templates hold where a job has none, field by field", t => {
  const office = new Office({ words: { subject: '{{name}}: {{event}}', text: 'ours: {{reason}}' } });
  const own = { ...hook(1), words: { text: 'its own' } };
  office.note(noticed('a', [own]), noticed('b'));
  office.until(start + limits.gather_ms);
  t.deepEqual(
    office.seen.map(({ letter }) => [letter.subject, letter.text]),
    [
      ['www/prod/ja: failed', 'its own'],
      ['www/prod/jb: failed', 'ours: it exited with 3'],
    ],
  );
});

test('only so many letters that were given up are kept', t => {
  const office = new Office();
  office.answer = () => ({ type: 'refused', message: 'never' });
  for (let n = 0; n < 8; n++) {
    office.note(noticed(n, [hook(n)]));
    office.until(office.now + 10_000);
  }
  t.deepEqual(
    office.of<LetterRecord>('letter').map(one => one.letter.to),
    [3, 4, 5, 6, 7].map(n => hook(n).to),
  );
});

test('a letter that was given up is tried once more when a person asks, under the same id, and can be forgotten', t => {
  const office = new Office();
  office.answer = () => ({ type: 'refused', message: 'no' });
  office.note(noticed('a'), noticed('b', [hook(1)]));
  office.until(start + 1_000);
  const [one, other] = office.of<LetterRecord>('letter').map(each => each.letter.id);
  office.answer = () => ({ type: 'delivered' });
  const ask = (type: 'retry-letter' | 'delete-letter', letter: string) =>
    office.tell({
      type: 'command',
      envelope: { command: { type, letter }, principal: { name: 'me' }, request_id: 'r' },
    });
  ask('retry-letter', one!);
  t.deepEqual(
    office.sent.map(each => each.letter.id),
    [one!],
  );
  ask('delete-letter', other!);
  t.deepEqual(office.of('letter'), []);
  ask('delete-letter', other!);
  t.like(office.answers, [
    { type: 'letter-retrying', letter: one },
    { type: 'letter-deleted', letter: other },
    { type: 'refused', code: 'not-found' },
  ]);
});

test('a place that nothing was told to for a while is forgotten', t => {
  const office = new Office();
  office.note(noticed('a'));
  office.until(start + 10_000);
  t.is(office.of('place').length, 1);
  office.until(start + limits.interval_ms + limits.gather_ms);
  t.is(office.records.size, 0, [...office.records.keys()].join());
});
