// conversations.test.ts: every conversation that was recorded with a real Mesos, held again with ours.
//
// The script's side is `support/player.ts`, which shares nothing with the driver. What may differ is a fixed list
// (`support/differences.ts`), which stands in ARCHITECTURE.md with its reasons; anything else fails here.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { differences as found, Ids } from './support/compare.ts';
import { conversations, readConversation } from './support/conversation.ts';
import { all, differenceOf, tables } from './support/differences.ts';
import { play } from './support/player.ts';
import { plays } from './support/plays.ts';

for (const name of conversations())
  test(`${name}: the same calls get the same answers, and the same is said`, async t => {
    const unlike = await play(readConversation(name), plays[name] ?? {});
    t.is(unlike.length, 0, `\n${unlike.join('\n')}`);
  });

test('whatever is not compared in a conversation has a reason, which names it', t => {
  for (const [name, { skip, more, offers_until_ms, happened, operator, because = [] }] of Object.entries(plays)) {
    t.true(conversations().includes(name), name);
    const excused = [skip, more, offers_until_ms, happened, operator].some(each => each !== undefined);
    t.true(!excused || because.length > 0, `${name} leaves something out and does not say why`);
    for (const reason of because)
      t.true(differenceOf(reason).recordings?.includes(name.split('-')[0]!), `${reason} does not speak of ${name}`);
  }
  const excused = all.flatMap(({ recordings }) => recordings ?? []);
  const played = Object.keys(plays).map(name => name.split('-')[0]!);
  t.deepEqual(
    excused.filter(number => !played.includes(number)),
    [],
  );
});

test('the tables of what may differ stand in ARCHITECTURE.md', t => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'ARCHITECTURE.md'), 'utf8');
  t.true(text.includes(tables()), `ARCHITECTURE.md should have:\n\n${tables()}`);
});

test('a conversation that was tampered with is not the same any more', async t => {
  const rows = readConversation('02-launch-finished').map(row =>
    row.is === 'event' && row.event.update?.status.state === 'TASK_FINISHED'
      ? { ...row, event: JSON.parse(JSON.stringify(row.event).replace('status 0', 'status 1')) }
      : row,
  );
  t.regex(
    (await play(rows, {})).join('\n'),
    /message: "Command exited with status 0" instead of "Command exited with status 1"/,
  );
  const offers = readConversation('02-launch-finished').map(row =>
    row.is === 'event'
      ? { ...row, event: JSON.parse(JSON.stringify(row.event).replace('"value":3.9', '"value":3.8')) }
      : row,
  );
  t.regex((await play(offers, {})).join('\n'), /scalar\.value: 3\.9 instead of 3\.8/);
});

test('one of their ids is one of ours, for ever', t => {
  const ids = new Ids();
  const offer = (id: string) => ({ offer_id: { value: id }, framework_id: { value: `f-${id}` } });
  t.deepEqual(found(offer('theirs-1'), offer('ours-1'), ids), []);
  t.is(found(offer('theirs-1'), offer('ours-2'), ids).length, 2);
  t.is(found(offer('theirs-2'), offer('ours-1'), ids).length, 2);
});
