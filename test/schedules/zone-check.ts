// zone-check.ts: every zone, two days around each of its clock changes, many crontab lines, against the plain oracle.
//
// ICU and the system's tz files may be of different years: where the two tell different offsets, the window says nothing
// about schedules/ and is left out, counted and reported.

import { compile, countBetween, matches, next } from '../../schedules/schedule.ts';
import { dice, type Rules, readPlain, targetsOf, type WallWindow, wallWindow } from './oracle.ts';
import { readTzFile, type TzFile } from './tzfile.ts';

export type ZoneReport = {
  windows: number;
  comparisons: number;
  targets: number;
  /** Windows in which ICU and the tz files disagree. */
  data_differ: number;
  /** Zones that ICU does not know. */
  unknown: string[];
  /** Zones with at least one window left out. */
  differing: Set<string>;
  failures: string[];
};

const hour = 3600_000;
const day = 24 * hour;
const gaps: readonly Rules['gap'][] = ['skip', 'next_valid', 'shift'];
const folds: readonly Rules['fold'][] = ['first', 'second', 'both'];

/**
 * Checks windows of the given zones between 1970 and 2040; `share` is the part of the windows that is looked at, chosen
 * by `seed`. Ends early when `failures_max` comparisons have failed.
 */
export function checkZones(
  zones: readonly string[],
  seed: number,
  share: number,
  report = emptyReport(),
  failures_max = 10,
): ZoneReport {
  const throwDie = dice(seed);
  for (const name of zones) {
    const offsets = intlOffsets(name);
    if (offsets === undefined) {
      report.unknown.push(name);
      continue;
    }
    const zone = readTzFile(name, 2041);
    for (const change of zone.transitions) {
      if (change.at < Date.UTC(1970, 0, 1) || change.at >= Date.UTC(2041, 0, 1)) continue;
      if (throwDie() >= share) continue;
      if (!agree(offsets, zone, change.at)) {
        report.data_differ++;
        report.differing.add(name);
        continue;
      }
      report.windows++;
      checkWindow(zone, change.at, throwDie, report);
      if (report.failures.length >= failures_max) return report;
    }
  }
  return report;
}

export const emptyReport = (): ZoneReport => ({
  windows: 0,
  comparisons: 0,
  targets: 0,
  data_differ: 0,
  unknown: [],
  differing: new Set(),
  failures: [],
});

function checkWindow(zone: TzFile, at: number, throwDie: () => number, report: ZoneReport): void {
  const minutes = wallWindow(at - 4 * day, at + 4 * day, 60_000);
  for (const line of minuteLines(zone, at, throwDie))
    compare(zone, line, minutes, at - day, at + day, throwDie, report);
  // Every wall time that may be shown, or should have been, within an hour of the change.
  const [before_ms, after_ms] = [zone.offsetAt(at - 1), zone.offsetAt(at)];
  const reach = 2 * hour;
  const seconds = wallWindow(
    at + Math.min(before_ms, after_ms) - reach,
    at + Math.max(before_ms, after_ms) + reach,
    1000,
  );
  for (const line of secondLines(zone, at, throwDie))
    compare(zone, line, seconds, at - hour, at + hour, throwDie, report);
}

function compare(
  zone: TzFile,
  line: string,
  window: WallWindow,
  from: number,
  to: number,
  throwDie: () => number,
  report: ZoneReport,
): void {
  const dst: Rules = { gap: gaps[Math.floor(throwDie() * 3)]!, fold: folds[Math.floor(throwDie() * 3)]! };
  const compiled = compile({ cron: line, zone: zone.name, dst }, { now: from, default_zone: 'UTC', job_key: 'a/b/c' });
  if (!compiled.ok) throw new Error(`"${line}" was refused: ${JSON.stringify(compiled.problems)}`);
  const schedule = compiled.value;
  const expected = targetsOf(readPlain(line), window, zone, dst, from, to);
  const found: number[] = [];
  for (let t = next(schedule, from); t !== undefined && t <= to && found.length < 20_000; t = next(schedule, t))
    found.push(t);
  report.comparisons++;
  report.targets += expected.length;
  const wrong = expected.findIndex((t, i) => t !== found[i]);
  const where = `${zone.name} "${line}" ${JSON.stringify(dst)} around ${new Date((from + to) / 2).toISOString()}`;
  const show = (t: number | undefined) => (t === undefined ? 'nothing' : new Date(t).toISOString());
  if (wrong >= 0) report.failures.push(`${where}: expected ${show(expected[wrong])}, found ${show(found[wrong])}`);
  else if (found.length > expected.length)
    report.failures.push(`${where}: expected no more, found ${show(found[expected.length])}`);
  else {
    const { count } = countBetween(schedule, from, to, 0);
    if (count !== expected.length)
      report.failures.push(`${where}: expected a count of ${expected.length}, found ${count}`);
    const unmatched = found.find(t => !matches(schedule, t));
    if (unmatched !== undefined) report.failures.push(`${where}: ${show(unmatched)} is next but does not match`);
    // As many instants that are not targets must not match either.
    const targets = new Set(expected);
    for (let i = 0; i < 20; i++) {
      const t = from + Math.floor((throwDie() * (to - from)) / 1000) * 1000 + 1000;
      if (matches(schedule, t) !== targets.has(t)) report.failures.push(`${where}: matches(${show(t)}) is wrong`);
    }
  }
}

const fixed_lines = [
  '* * * * *',
  '*/15 * * * *',
  '30 2 * * *',
  '0 0 * * *',
  '0 */2 * * *',
  '59 23 * * 6',
  '15,45 1-3 * * *',
  '0 0 1-7 * 0',
];

function minuteLines(zone: TzFile, at: number, throwDie: () => number): string[] {
  const pick = (n: number) => Math.floor(throwDie() * n);
  const lines = [fixed_lines[pick(fixed_lines.length)]!, fixed_lines[pick(fixed_lines.length)]!];
  // Lines aimed at what the change swallows or repeats, and at its edges.
  for (let i = 0; i < 3; i++) {
    const wall = new Date(at + Math.min(zone.offsetAt(at - 1), zone.offsetAt(at)) + (pick(150) - 15) * 60_000);
    const days = [
      '* * *',
      `* * ${wall.getUTCDay()}`,
      `${wall.getUTCDate()} * *`,
      `${wall.getUTCDate()} ${wall.getUTCMonth() + 1} *`,
    ];
    lines.push(`${wall.getUTCMinutes()} ${wall.getUTCHours()} ${days[pick(4)]}`);
    lines.push(`*/${1 + pick(30)} ${wall.getUTCHours()},${pick(24)} ${days[pick(4)]}`);
  }
  lines.push(
    `${pick(60)} ${pick(24)}-23/${1 + pick(5)} * * *`,
    `${pick(60)}-59/${1 + pick(20)} * ${1 + pick(28)} * ${pick(7)}`,
  );
  return lines;
}

function secondLines(zone: TzFile, at: number, throwDie: () => number): string[] {
  const pick = (n: number) => Math.floor(throwDie() * n);
  const wall = new Date(at + Math.min(zone.offsetAt(at - 1), zone.offsetAt(at)) + pick(7200) * 1000);
  return [
    `${wall.getUTCSeconds()} ${wall.getUTCMinutes()} ${wall.getUTCHours()} * * *`,
    `*/${1 + pick(40)} */${1 + pick(20)} ${wall.getUTCHours()},${pick(24)} * * *`,
    `${pick(60)} * * * * *`,
  ];
}

function intlOffsets(name: string): ((at: number) => number) | undefined {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return at => {
    const [month, date, year, hours, minutes, seconds] = format.format(at).match(/\d+/g)!.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return Date.UTC(year, month - 1, date, hours, minutes, seconds) - at;
  };
}

/** Whether ICU and the tz file tell the same offsets in the four days around a change. */
function agree(offsets: (at: number) => number, zone: TzFile, at: number): boolean {
  for (const t of [at - 1000, at, ...Array.from({ length: 96 }, (_, i) => at + (i - 48) * 2 * hour)])
    if (offsets(t) !== zone.offsetAt(t)) return false;
  return true;
}
