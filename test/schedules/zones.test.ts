// zones.test.ts: a seeded sample of what `node test/zones.ts` looks at in full.

import test from 'ava';
import { next } from '../../schedules/schedule.ts';
import { offsetAt } from '../../schedules/zone.ts';
import { findZone } from '../../schedules/zone-names.ts';
import { dice, readPlain, targetsOf, wallWindow } from './oracle.ts';
import { at, good, hour, refusals } from './samples.ts';
import { readTzFile, systemZones } from './tzfile.ts';
import { checkZones } from './zone-check.ts';

const seed = 20260329;

test('around clock changes of zones everywhere, crontab lines agree with a scan of every minute', t => {
  const zones = systemZones();
  t.true(zones.length > 400, 'expected the tz files of the system under /usr/share/zoneinfo (package tzdata)');
  const report = checkZones(zones, seed, 0.012);
  t.log(`seed ${seed}: ${report.windows} windows, ${report.comparisons} comparisons, ${report.targets} targets`);
  t.log(`${report.data_differ} windows left out, where ICU (${process.versions.tz}) and the tz files differ`);
  t.true(report.windows > 200);
  t.true(report.data_differ < report.windows / 10);
  t.deepEqual(report.failures, [], `seed ${seed}`);
});

test('the oracle notices a fold rule that is not kept', t => {
  const zone = readTzFile('Europe/Vienna', 2041);
  const change = at('2026-10-25T01:00:00Z');
  const window = wallWindow(change - 96 * hour, change + 96 * hour, 60_000);
  const line = readPlain('30 2 * * *');
  const first = targetsOf(line, window, zone, { gap: 'skip', fold: 'first' }, change - 12 * hour, change + 12 * hour);
  const both = targetsOf(line, window, zone, { gap: 'skip', fold: 'both' }, change - 12 * hour, change + 12 * hour);
  t.deepEqual(first, [at('2026-10-25T00:30:00Z')]);
  t.deepEqual(both, [at('2026-10-25T00:30:00Z'), at('2026-10-25T01:30:00Z')]);
  t.is(next(good({ cron: '30 2 * * *', zone: 'Europe/Vienna', dst: { fold: 'both' } }), first[0]!), both[1]);
});

test('offsets at random instants are those of the tz files', t => {
  const throwDie = dice(seed);
  let compared = 0;
  for (const name of [
    'Europe/Vienna',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kathmandu',
    'Pacific/Apia',
    'Africa/Monrovia',
  ]) {
    const file = readTzFile(name, 2041);
    const zone = findZone(name, '');
    if (!zone.ok) return t.fail(`${name} is unknown`);
    for (let i = 0; i < 2000; i++) {
      const instant = Math.floor(throwDie() * at('2040-01-01T00:00:00Z'));
      if (offsetAt(zone.value, instant) !== file.offsetAt(instant))
        t.fail(`${name} at ${new Date(instant).toISOString()}, seed ${seed}`);
      compared++;
    }
  }
  t.is(compared, 12_000);
});

test('an unknown zone is refused with near spellings', t => {
  t.deepEqual(refusals({ cron: '0 0 * * *', zone: 'Europe/Viena' }), [
    'unknown time zone "Europe/Viena": expected Europe/Vienna',
  ]);
  t.regex(refusals({ cron: '0 0 * * *', zone: 'vienna' })[0]!, /expected Europe\/Vienna/);
  t.regex(
    refusals({ cron: '0 0 * * *', zone: 'Nowhere/Atall' })[0]!,
    /expected an IANA time zone such as Europe\/Vienna/,
  );
  t.regex(refusals({ cron: '0 0 * * *', zone: 'x'.repeat(100_000) })[0]!, /^unknown time zone "x{64}\.\.\."/);
});

test("Java's ids are Chronos's alone, and an offset is a zone only there", t => {
  for (const zone of ['PST', 'BST', 'GMT+08:00', '+02:00', 'SystemV/PST8'])
    t.regex(refusals({ cron: '0 0 * * *', zone })[0]!, /unknown time zone/);
  t.regex(refusals({ cron: '0 0 * * *', zone: 'BST' })[0]!, /expected Asia\/Dhaka/);
  for (const [zone, utc] of [
    ['PST', '2026-01-01T08:00:00Z'],
    ['BST', '2026-01-01T18:00:00Z'],
    ['GMT+08:00', '2026-01-01T16:00:00Z'],
    ['-02:30', '2026-01-01T02:30:00Z'],
  ] as const)
    t.is(next(good({ cron: '0 0 * * *', zone }, { dialect: 'chronos' }), at('2026-01-01T00:00:00Z')), at(utc), zone);
});

test('the name of a zone is kept as written, its letter case mended', t => {
  t.is(good({ cron: '0 0 * * *', zone: 'europe/vienna' }).zone, 'Europe/Vienna');
  t.is(good({ cron: '0 0 * * *', zone: 'US/Pacific' }).zone, 'US/Pacific');
  t.is(good({ cron: '0 0 * * *' }, { default_zone: 'Asia/Tokyo' }).zone, 'Asia/Tokyo');
});
