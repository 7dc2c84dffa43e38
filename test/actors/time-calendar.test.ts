// time-calendar.test.ts: days on which work rests: in a job, or under a name that many jobs use.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { job, type World, world } from '../support/world.ts';

const hour = 3_600_000;
const day = 24 * hour;
/** A Thursday. */
const start = Date.UTC(2026, 0, 1, 0, 0, 20);
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const days = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => new Date((row.body as OutcomeRow).from).toISOString().slice(5, 10))
    .reverse();
const put = (w: World, name: string, rules: readonly { readonly date: string }[]) =>
  w.submit({ type: 'put-calendar', name, calendar: { rules } });

test('days in the job itself are left out, or moved to the next day that is none of them', async t => {
  const w = await world({ start });
  const weekend = { exclude: [{ weekdays: ['SAT' as const, 'SUN' as const] }] };
  await w.create({ ...base, schedules: [{ cron: '0 6 * * *', calendar: weekend }] });
  await w.until(start + 5 * day);
  t.deepEqual(days(w), ['01-01', '01-02', '01-05']);
});

test('a calendar with a name is used by jobs, survives a restart, and a change of it holds from then on', async t => {
  const w = await world({ start });
  t.like(await put(w, 'holidays', [{ date: '2026-01-02' }]), { type: 'calendar-stored', version: 1 });
  const answer = await w.create({ ...base, schedules: [{ cron: '0 6 * * *', calendar: { exclude: ['holidays'] } }] });
  t.is(answer.type, 'created');
  await w.until(start + 1.5 * day);
  await w.crash();
  await w.until(start + 2 * day);
  t.deepEqual(days(w), ['01-01']);
  t.like(await put(w, 'holidays', [{ date: '2026-01-04' }]), { version: 2 });
  await w.until(start + 5 * day);
  // The second was left out when it passed, and stays so.
  t.deepEqual(days(w), ['01-01', '01-03', '01-05']);
  t.deepEqual(w.complaints, []);
});

test('a job that names an unknown calendar is refused, and one that is named cannot be deleted', async t => {
  const w = await world({ start });
  const wanted = { ...base, schedules: [{ cron: '0 6 * * *', calendar: { only: ['workdays'] } }] };
  t.like(await w.create(wanted), {
    type: 'refused',
    code: 'invalid',
    message: 'there is no calendar workdays: make it first, or name another',
  });
  await put(w, 'workdays', [{ date: '2026-01-05' }]);
  await w.create(wanted);
  await w.crash();
  t.like(await w.submit({ type: 'delete-calendar', name: 'workdays' }), {
    type: 'refused',
    code: 'in-use',
    message: `calendar workdays is named by ${key}: let them name another first`,
  });
  await w.submit({ type: 'delete', key });
  await w.until(start + hour);
  t.like(await w.submit({ type: 'delete-calendar', name: 'workdays' }), { type: 'calendar-deleted' });
  t.like(await w.submit({ type: 'delete-calendar', name: 'workdays' }), { type: 'refused', code: 'not-found' });
});

test('a job that no longer names a calendar does not hold it', async t => {
  const w = await world({ start });
  await put(w, 'holidays', [{ date: '2026-01-02' }]);
  await w.create({ ...base, schedules: [{ cron: '0 6 * * *', calendar: { exclude: ['holidays'] } }] });
  const plain = job({ ...base, schedules: [{ cron: '0 6 * * *' }] });
  t.like(await w.submit({ type: 'delete-calendar', name: 'holidays' }), { type: 'refused' });
  await w.submit({ type: 'submit', mode: 'replace', job: plain });
  t.like(await w.submit({ type: 'delete-calendar', name: 'holidays' }), { type: 'calendar-deleted' });
  // One that is refused changes nothing, and what is named instead is held from then on.
  await put(w, 'workdays', [{ date: '2026-01-05' }]);
  await put(w, 'others', [{ date: '2026-01-05' }]);
  const naming = (name: string) => job({ ...base, schedules: [{ cron: '0 6 * * *', calendar: { exclude: [name] } }] });
  await w.submit({ type: 'submit', mode: 'replace', job: naming('workdays') });
  t.like(await w.submit({ type: 'submit', mode: 'replace', job: naming('others'), if_version: 1 }), {
    type: 'refused',
  });
  t.like(await w.submit({ type: 'delete-calendar', name: 'others' }), { type: 'calendar-deleted' });
  t.like(await w.submit({ type: 'delete-calendar', name: 'workdays' }), { type: 'refused', code: 'in-use' });
});
