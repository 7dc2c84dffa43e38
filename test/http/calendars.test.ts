// calendars.test.ts: calendars with names, as documents and as files that calendar programs export.

import test from 'ava';
import { compileCalendar } from '../../schedules/calendar.ts';
import { readIcalendar } from '../../transport/http/routes/icalendar.ts';
import { calendar_page, calendar_resource } from '../../transport/http/schemas.ts';
import { hello, serve } from './support/serve.ts';

const path = '/api/v1/calendars/holidays';
const ics = (...events: string[]) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    ...events.flatMap(event => ['BEGIN:VEVENT', ...event.split('|'), 'END:VEVENT']),
    'END:VCALENDAR',
    '',
  ].join('\r\n');

test('a calendar is stored, read, listed, replaced under its version, and deleted', async t => {
  const { ask } = await serve(t);
  const created = await ask('PUT', path, {
    json: { description: 'free', rules: [{ yearly: '12-25' }, { easter: 1 }] },
  });
  t.is(created.status, 201);
  t.like(calendar_resource.parse(created.json), { name: 'holidays', version: 1, used_by: [] });
  const yaml = { body: 'rules:\n  - weekdays: [SAT, SUN]\n', headers: { 'content-type': 'application/yaml' } };
  const replaced = await ask('PUT', path, yaml);
  t.is(replaced.status, 200);
  t.is(replaced.json.version, 2);
  const stale = await ask('PUT', path, { json: { rules: [] }, headers: { 'if-match': '"1"' } });
  t.is(stale.status, 412);
  t.is(calendar_page.parse((await ask('GET', '/api/v1/calendars')).json).calendars.length, 1);
  t.is((await ask('GET', path)).headers.etag, '"2"');
  t.is((await ask('DELETE', path)).status, 204);
  t.is((await ask('GET', path)).status, 404);
});

test('everything wrong with a calendar is told with its place', async t => {
  const { ask } = await serve(t);
  const wrong = await ask('PUT', path, { json: { rules: [{ date: '2026-02-30' }, { yearly: '13-01' }] } });
  t.is(wrong.status, 422);
  t.deepEqual(
    (wrong.json.problems as { place: string }[]).map(each => each.place),
    ['/rules/0', '/rules/1'],
  );
  t.is((await ask('PUT', path, { json: { rules: [{ moon: 'full' }] } })).status, 422);
  t.is((await ask('PUT', '/api/v1/calendars/-', { json: { rules: [] } })).status, 422);
});

test('a calendar that would leave a job without any target is refused, with the job named', async t => {
  const { ask } = await serve(t);
  await ask('PUT', path, { json: { rules: [{ weekdays: ['SAT'] }] } });
  const schedules = [{ cron: '0 6 * * MON', calendar: { exclude: ['holidays'] } }];
  t.is((await ask('POST', '/api/v1/jobs', { json: { ...hello, schedules } })).status, 201);
  t.deepEqual((await ask('GET', path)).json.used_by, ['www/prod/hello']);
  const refused = await ask('PUT', path, { json: { rules: [{ weekdays: ['MON'] }] } });
  t.is(refused.status, 422);
  t.regex(refused.text, /job www\/prod\/hello: .*never runs/);
});

test('a file of a calendar program is imported: days, spans of days, days of every year, the nth weekday', async t => {
  const { ask } = await serve(t);
  const body = ics(
    'SUMMARY:Stocktaking|DTSTART;VALUE=DATE:20260310|DTEND;VALUE=DATE:20260311',
    'SUMMARY:Company holidays|DTSTART;VALUE=DATE:20260803|DTEND;VALUE=DATE:20260815',
    'SUMMARY:Christmas|DTSTART;VALUE=DATE:20201225|DTEND;VALUE=DATE:20201226|RRULE:FREQ=YEARLY',
    'SUMMARY:Thanksgiving|DTSTART;VALUE=DATE:20201126|RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH',
    'SUMMARY:Moved|DTSTART;VALUE=DATE:20260102|STATUS:CANCELLED',
    'SUMMARY:Window|DTSTART:20260401T220000|DTEND:20260402T020000',
    'SUMMARY:Inventory|DTSTART;VALUE=DATE:20260105|RRULE:FREQ=WEEKLY;COUNT=3|EXDATE;VALUE=DATE:20260112',
  );
  const stored = await ask('PUT', path, { body, headers: { 'content-type': 'text/calendar; charset=utf-8' } });
  t.is(stored.status, 201, stored.text);
  t.deepEqual(stored.json.rules, [
    { date: '2026-03-10' },
    { from: '2026-08-03', to: '2026-08-14' },
    { yearly: '12-25' },
    { month: 11, weekday: 'THU', nth: 4 },
    { from: '2026-04-01T22:00:00', to: '2026-04-02T02:00:00' },
    { date: '2026-01-05' },
    { date: '2026-01-19' },
  ]);
  t.true(compileCalendar({ exclude: stored.json.rules as [] }, {}, '').ok);
});

test('a file that cannot be read, ties a time to a zone, or goes on for ever in too many days is refused', t => {
  const problems = (text: string) => {
    const read = readIcalendar(text);
    return read.ok ? '' : read.problems.map(each => each.message).join('; ');
  };
  t.regex(problems('nonsense'), /cannot be read/);
  t.regex(
    problems(ics('SUMMARY:Meeting|DTSTART:20260401T220000Z|DTEND:20260401T230000Z')),
    /"Meeting" is at a time in UTC/,
  );
  t.regex(problems(ics('SUMMARY:Daily|DTSTART;VALUE=DATE:20260101|RRULE:FREQ=DAILY')), /expected at most 1000/);
  t.regex(problems(ics('SUMMARY:Second|DTSTART:20260101T000000|RRULE:FREQ=SECONDLY')), /expected at most 1000/);
});
