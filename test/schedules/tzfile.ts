// tzfile.ts: a second opinion on offsets, read from the system's own tz files (RFC 9636) and not from ICU.
//
// It shares no code with schedules/: transitions come from the binary tables, later ones from the rule in the footer.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const zoneinfo = '/usr/share/zoneinfo';

export type Transition = { readonly at: number; readonly before_ms: number; readonly after_ms: number };
export type TzFile = {
  readonly name: string;
  readonly transitions: readonly Transition[];
  offsetAt(at: number): number;
};

/** All names in the system's tz database; empty on a machine that has none. */
export function systemZones(): string[] {
  const names: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(zoneinfo, folder))) {
      const name = folder === '' ? entry : `${folder}/${entry}`;
      if (['posix', 'right', 'posixrules', 'localtime', 'Factory'].includes(name)) continue;
      if (statSync(join(zoneinfo, name)).isDirectory()) visit(name);
      else if (readFileSync(join(zoneinfo, name)).subarray(0, 4).toString('latin1') === 'TZif') names.push(name);
    }
  };
  try {
    visit('');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return names.sort();
}

/** Reads one zone; transitions up to the end of `year_max`. */
export function readTzFile(name: string, year_max: number): TzFile {
  const bytes = readFileSync(join(zoneinfo, name));
  const header = (at: number) => ({
    isut: bytes.readUInt32BE(at + 20),
    isstd: bytes.readUInt32BE(at + 24),
    leap: bytes.readUInt32BE(at + 28),
    time: bytes.readUInt32BE(at + 32),
    type: bytes.readUInt32BE(at + 36),
    char: bytes.readUInt32BE(at + 40),
  });
  // The first block has 32-bit times, for old readers; the second has the same with 64 bits.
  const old = header(0);
  const second = 44 + old.time * 5 + old.type * 6 + old.char + old.leap * 8 + old.isstd + old.isut;
  const counts = header(second);
  let cursor = second + 44;
  const times = Array.from({ length: counts.time }, (_, i) => Number(bytes.readBigInt64BE(cursor + i * 8)) * 1000);
  cursor += counts.time * 8;
  const kinds = [...bytes.subarray(cursor, cursor + counts.time)];
  cursor += counts.time;
  const offsets = Array.from({ length: counts.type }, (_, i) => bytes.readInt32BE(cursor + i * 6) * 1000);
  cursor += counts.type * 6 + counts.char + counts.leap * 12 + counts.isstd + counts.isut;
  const footer = bytes
    .subarray(cursor + 1)
    .toString('latin1')
    .split('\n')[0]!;

  const changes: Transition[] = [];
  let offset = offsets[0]!;
  const change = (at: number, after_ms: number) => {
    if (after_ms !== offset) changes.push({ at, before_ms: offset, after_ms });
    offset = after_ms;
  };
  for (const [i, at] of times.entries()) change(at, offsets[kinds[i]!]!);
  const last = times.at(-1) ?? Number.NEGATIVE_INFINITY;
  for (const [at, after_ms] of ruleTransitions(footer, year_max)) if (at > last) change(at, after_ms);
  return {
    name,
    transitions: changes,
    offsetAt(at) {
      let low = 0;
      let high = changes.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (changes[middle]!.at <= at) low = middle + 1;
        else high = middle;
      }
      return low > 0 ? changes[low - 1]!.after_ms : (changes[0]?.before_ms ?? offset);
    },
  };
}

/** The transitions that a POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3` gives for 2020 and later. */
function ruleTransitions(text: string, year_max: number): [number, number][] {
  const match = /^(?:<[^>]+>|[A-Za-z]+)([^A-Za-z<,]+)(?:(?:<[^>]+>|[A-Za-z]+)([^,]*),([^,]+),([^,]+))?$/.exec(text);
  if (match === null || match[3] === undefined) return [];
  const seconds = (clock: string): number => {
    const negative = clock.startsWith('-');
    const [h = 0, m = 0, s = 0] = clock.replace(/^[+-]/, '').split(':').map(Number);
    return (negative ? -1 : 1) * (h * 3600 + m * 60 + s) * 1000;
  };
  const standard = -seconds(match[1]!);
  const summer = match[2] === '' ? standard + 3600_000 : -seconds(match[2]!);
  const found: [number, number][] = [];
  for (let year = 2020; year <= year_max; year++) {
    found.push(
      [ruleDay(match[3]!, year, seconds) - standard, summer],
      [ruleDay(match[4]!, year, seconds) - summer, standard],
    );
  }
  return found.sort((a, b) => a[0] - b[0]);
}

function ruleDay(rule: string, year: number, seconds: (clock: string) => number): number {
  const [day, clock = '2'] = rule.split('/') as [string, string?];
  const at = seconds(clock);
  const monthly = /^M(\d+)\.(\d)\.(\d)$/.exec(day);
  if (monthly === null) {
    const julian = /^J(\d+)$/.exec(day);
    if (julian === null) return Date.UTC(year, 0, 1 + Number(day)) + at;
    const leap = new Date(Date.UTC(year, 1, 29)).getUTCMonth() === 1;
    return Date.UTC(year, 0, Number(julian[1]) + (leap && Number(julian[1]) >= 60 ? 1 : 0)) + at;
  }
  const [month, week, weekday] = [Number(monthly[1]), Number(monthly[2]), Number(monthly[3])];
  let date = 1 + ((weekday - new Date(Date.UTC(year, month - 1, 1)).getUTCDay() + 7) % 7) + (week - 1) * 7;
  while (new Date(Date.UTC(year, month - 1, date)).getUTCMonth() !== month - 1) date -= 7;
  return Date.UTC(year, month - 1, date) + at;
}
