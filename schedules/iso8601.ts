// iso8601.ts: repeating intervals as text: R5/2026-01-31T09:00:00Z/P1M.
//
//   R[n] / start / period       n runs, the first at start          R  without a number: for ever
//   R[n] / start / end          the same, the period being the time between the two
//
// A start may be a full date and time, a date alone (midnight), a week date, an ordinal date, any of them with an offset,
// or nothing at all: "from now on". Without an offset it is what the wall of the schedule's zone shows.

import { DateTime } from 'luxon';
import { day_ms, dayNumber, hour_ms, minute_ms, monthLength, printWall, second_ms, type Wall } from './civil.ts';
import { type Duration, parseDuration, printDuration } from './duration.ts';
import { bad, good, type Problem, type Result } from './problem.ts';

/** A date and time as written: what the wall shows, and the offset if the text had one. */
export type WrittenTime = { readonly wall: Wall; readonly offset_ms: number | undefined; readonly date_only: boolean };

export type Repeat = {
  /** undefined: for ever. */
  readonly count: number | undefined;
  /** undefined: from now on. */
  readonly start: WrittenTime | undefined;
  readonly period: Duration;
};

export const repeat_text_max = 256;

/** Reads a repeating interval. `chronos`: also what only Chronos took (a bare `P`, a time without a date). */
export function parseRepeat(text: string, place: string, chronos = false): Result<Repeat> {
  const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  const form = 'R[n]/start/period or R[n]/start/end';
  if (text.length > repeat_text_max)
    return bad({
      place,
      value: shown,
      message: `"${shown}" has ${text.length} characters: expected ${form}`,
      expected: form,
    });
  const words = text.trim().split('/');
  if (words.length !== 3) {
    const message = `${words.length} parts in "${shown}": expected ${form}`;
    return bad({ place, value: shown, message, expected: form });
  }
  const [repeat, start_text, last] = words as [string, string, string];
  const problems: Problem[] = [];
  const head = /^R(\d*)$/.exec(repeat);
  const count = head === null || head[1] === '' ? undefined : Number(head[1]);
  if (head === null) {
    const expected = 'R or R with a number, such as R5';
    problems.push({
      place,
      value: shown,
      message: `repetition "${repeat}" in "${shown}": expected ${expected}`,
      expected,
    });
  } else if (count !== undefined && count > Number.MAX_SAFE_INTEGER) {
    const expected = `R0-R${Number.MAX_SAFE_INTEGER}, or R for ever`;
    problems.push({
      place,
      value: shown,
      message: `repetition ${repeat} in "${shown}": expected ${expected}`,
      expected,
    });
  }
  if (start_text.startsWith('P')) {
    const expected = `${form}; an interval cannot be given by its end alone`;
    problems.push({
      place,
      value: shown,
      message: `start "${start_text}" in "${shown}": expected ${expected}`,
      expected,
    });
    return bad(...problems);
  }
  let start: WrittenTime | undefined;
  if (start_text !== '') {
    const read = parseTime(start_text, place, chronos);
    if (read.ok) start = read.value;
    else problems.push(...read.problems);
  }
  const period = last.startsWith('P') ? parseDuration(last, place, chronos) : periodUntil(start, last, place, shown);
  if (!period.ok) problems.push(...period.problems);
  return problems.length > 0 || !period.ok ? bad(...problems) : good({ count, start, period: period.value });
}

/** The period of `start/end`: whole days between two dates, elapsed time otherwise. */
function periodUntil(start: WrittenTime | undefined, text: string, place: string, shown: string): Result<Duration> {
  const expected = 'a period such as PT15M or P1D, or an end after the start';
  if (text === '' || !/^\d/.test(text))
    return bad({ place, value: shown, message: `period "${text}" in "${shown}": expected ${expected}`, expected });
  const end = parseTime(text, place);
  if (!end.ok) return end;
  // With an empty start the length would depend on the moment of reading.
  if (start === undefined) {
    const message = `an end without a start in "${shown}": expected a start, or a period in place of the end`;
    return bad({ place, value: shown, message, expected: 'a start' });
  }
  const length_ms =
    end.value.wall - start.wall - ((end.value.offset_ms ?? start.offset_ms ?? 0) - (start.offset_ms ?? 0));
  if (length_ms <= 0)
    return bad({
      place,
      value: shown,
      message: `the end in "${shown}" is not after its start: expected a later one`,
      expected,
    });
  if (start.date_only && end.value.date_only) return good({ months: 0, days: length_ms / day_ms, ms: 0 });
  return good({ months: 0, days: 0, ms: length_ms });
}

const usual = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?$/;

/** Reads one date or date and time in any form of ISO 8601. */
export function parseTime(text: string, place: string, chronos = false): Result<WrittenTime> {
  const match = usual.exec(text);
  if (match !== null) {
    const [, y, mo, d, h = '0', mi = '0', s = '0', fraction = '', offset] = match;
    const [year, month, day, hour, minute, second] = [y, mo, d, h, mi, s].map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const fields: [string, number, number, number][] = [
      ['month', month, 1, 12],
      ['day', day, 1, month >= 1 && month <= 12 ? monthLength(year, month) : 31],
      ['hour', hour, 0, 24],
      ['minute', minute, 0, 59],
      ['second', second, 0, 59],
    ];
    for (const [name, value, low, high] of fields)
      if (value < low || value > high) {
        const expected = `${low}-${high}`;
        return bad({ place, value: text, message: `${name} ${value} in "${text}": expected ${expected}`, expected });
      }
    const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
    const time_ms = hour * hour_ms + minute * minute_ms + second * second_ms + ms;
    if (time_ms <= day_ms && year >= 1) {
      const offset_ms = offset === undefined ? undefined : readOffset(offset);
      if (offset_ms === undefined || Math.abs(offset_ms) <= 18 * hour_ms)
        return good({
          wall: dayNumber(year, month, day) * day_ms + time_ms,
          offset_ms,
          date_only: match[4] === undefined,
        });
    }
  } else if (text.length <= 40) {
    // The rarer forms (2026-W05-1, 2026-031, 20260131T0900Z) are read by a library that knows them all.
    const without_date = /^T?\d\d:\d\d|^T\d/.test(text);
    if (!without_date || chronos) {
      const whole = without_date ? `1970-01-01T${text.replace(/^T/, '')}` : text;
      const read = DateTime.fromISO(whole, { setZone: true, zone: 'utc' });
      if (read.isValid && read.year >= 1 && read.year <= 9999) {
        const offset_ms = read.offset * minute_ms;
        const written = /T.*(Z|[+-]\d\d(:?\d\d)?)$/.test(whole);
        return good({
          wall: read.toMillis() + offset_ms,
          offset_ms: written ? offset_ms : undefined,
          date_only: !text.includes('T') && !without_date,
        });
      }
    }
  }
  const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  const expected = 'a date and time such as 2026-01-31T09:00:00Z';
  return bad({ place, value: shown, message: `time "${shown}": expected ${expected}`, expected });
}

function readOffset(text: string): number {
  if (text === 'Z') return 0;
  const size_ms = Number(text.slice(1, 3)) * hour_ms + (text.length > 3 ? Number(text.slice(-2)) * minute_ms : 0);
  return text[0] === '-' ? -size_ms : size_ms;
}

export function printTime(time: WrittenTime): string {
  const text = printWall(time.wall);
  if (time.offset_ms === undefined) return time.date_only ? text.slice(0, text.indexOf('T')) : text;
  if (time.offset_ms === 0) return `${text}Z`;
  const minutes = Math.abs(time.offset_ms) / minute_ms;
  const two = (n: number) => String(n).padStart(2, '0');
  return `${text}${time.offset_ms < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** Writes a repeating interval so that reading it gives the same again. */
export const printRepeat = (repeat: Repeat): string =>
  `R${repeat.count ?? ''}/${repeat.start === undefined ? '' : printTime(repeat.start)}/${printDuration(repeat.period)}`;
