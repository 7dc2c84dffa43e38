// time-days.test.ts: a calendar that changes while targets wait for their verdict, and a process that dies just then.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
/** A Thursday. */
const midnight = Date.UTC(2026, 0, 1);
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const none = [{ date: '2025-01-01' }];
const today = [{ date: '2026-01-01' }];
const put = (w: World, rules: readonly { readonly date: string }[]) =>
  w.submit({ type: 'put-calendar', name: 'rest', calendar: { rules } });
/** Minutes of the day, and what became of them. */
const told = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse()
    .flatMap(({ from, count, outcome, why }) =>
      Array.from(
        { length: count },
        (_, n) => `${(from - midnight) / minute + n} ${outcome}${why === undefined ? '' : `, ${why}`}`,
      ),
    );

async function begun(rules: readonly { readonly date: string }[], more: object = {}, stall_at?: number) {
  const stalls = stall_at === undefined ? {} : { stall_at };
  const w = await world({ start: midnight + 20_000, batch_changes_max: 1, ...stalls });
  await put(w, rules);
  await w.create({
    ...base,
    schedules: [{ cron: '* * * * *', calendar: { exclude: ['rest'] } }],
    overlap: { policy: 'allow' },
    catch_up: { policy: 'all' },
    ...more,
  });
  await w.until(midnight + 2.5 * minute);
  return w;
}
/** The calendar changes when three minutes have passed unseen, and nothing that follows reaches the device. */
async function changed(before: readonly { readonly date: string }[], after: typeof before, dies: boolean) {
  const play = async (stall_at?: number) => {
    const w = await begun(before, {}, stall_at);
    // The machine was asleep: nobody has looked at these targets when the calendar changes.
    w.clock.step(midnight + 5.5 * minute);
    await put(w, after);
    return w;
  };
  const whole = await play();
  if (!dies) return whole;
  const last = whole.committed.findLastIndex(one => one.kind === 'calendar');
  const position = whole.commits.find(each => each > last)!;
  const w = await play(position + 1);
  await w.crash(position);
  return w;
}

for (const dies of [false, true])
  test(`what came due before a day was given to rest is run all the same${dies ? ', though the process died' : ''}`, async t => {
    const w = await changed(none, today, dies);
    await w.until(midnight + 8 * minute);
    t.deepEqual(told(w), ['1 ran', '2 ran', '3 caught-up', '4 caught-up', '5 caught-up']);
    t.deepEqual(w.complaints, []);
  });

for (const dies of [false, true])
  test(`no target is found in a time that rested when it passed${dies ? ', though the process died' : ''}`, async t => {
    const w = await changed(today, none, dies);
    await w.until(midnight + 7.5 * minute);
    t.deepEqual(told(w), ['6 ran', '7 ran']);
    t.deepEqual(w.complaints, []);
  });

test('changes that follow each other closely each end where the next begins, though the process died', async t => {
  const w = await begun(none);
  w.clock.step(midnight + 3.5 * minute);
  const record = { kind: 'trigger', key, body: w.outbox.latest('trigger', key) } as const;
  await put(w, today);
  w.clock.step(midnight + 5.5 * minute);
  await put(w, none);
  // The device has all three, and nothing that the trigger wrote since the first.
  w.outbox.record(record);
  await w.settle();
  w.clock.step(midnight + 6.5 * minute);
  await w.crash();
  await w.until(midnight + 7.5 * minute);
  const rows = told(w);
  // The third minute was told before its trace was wiped out, under the same key: it is told again as the same.
  t.deepEqual(rows, ['1 ran', '2 ran', '3 caught-up', '6 caught-up', '7 ran']);
});

test('a job that was disabled is told its targets by the days on which they passed', async t => {
  const w = await begun(none);
  await w.submit({ type: 'set-enabled', key, enabled: false });
  await w.until(midnight + 4.5 * minute);
  await put(w, today);
  await w.until(midnight + 6.5 * minute);
  await put(w, none);
  await w.until(midnight + 7.5 * minute);
  await w.submit({ type: 'set-enabled', key, enabled: true });
  await w.until(midnight + 8.5 * minute);
  t.deepEqual(told(w), [
    '1 ran',
    '2 ran',
    '3 skipped, disabled',
    '4 skipped, disabled',
    '7 skipped, disabled',
    '8 ran',
  ]);
});

test('targets that a rate holds back are run where the new days have them, and told where they do not', async t => {
  const rate = { catch_up: { policy: 'all', rate: { runs: 1, per_ms: 10 * minute } } };
  const held = async (rules: readonly { readonly date: string }[]) => {
    const w = await begun(none, rate);
    w.clock.step(midnight + 6.5 * minute);
    await w.until(midnight + 6.6 * minute);
    await put(w, rules);
    await w.until(midnight + 50 * minute);
    return told(w).slice(0, 6);
  };
  t.deepEqual(await held([{ date: '2027-01-01' }]), [
    '1 ran',
    '2 ran',
    '3 caught-up',
    '4 caught-up',
    '5 caught-up',
    '6 caught-up',
  ]);
  t.deepEqual(await held(today), [
    '1 ran',
    '2 ran',
    '3 caught-up',
    '4 skipped, calendar',
    '5 skipped, calendar',
    '6 skipped, calendar',
  ]);
});
