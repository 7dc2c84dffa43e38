// duration.ts: lengths of time as ISO 8601 writes them: P1Y2M3W4DT5H6M7.5S.
//
// A length has two parts that must not be mixed up. Years, months, weeks and days are steps on a calendar: how long they
// take depends on where they begin. Hours, minutes and seconds are elapsed time, the same everywhere.

import { bad, good, type Result } from './problem.ts';

export type Duration = {
  /** Years are twelve of these. */
  readonly months: number;
  /** Weeks are seven of these. */
  readonly days: number;
  readonly ms: number;
};

const parts = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?)?$/;
/** A hundred centuries in any unit is more than anybody schedules. */
const years_max = 10_000;

/** Reads a period. `bare`: also `P` alone, the zero period that Chronos takes. */
export function parseDuration(text: string, place: string, bare = false): Result<Duration> {
  const expected = 'a period such as PT15M, P1D or P1Y2M3DT4H';
  const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  const refuse = (why: string, right = expected) =>
    bad({ place, value: shown, message: `period "${shown}"${why}: expected ${right}`, expected: right });
  const match = text.length > 64 ? null : parts.exec(text);
  if (match === null) {
    if (/^P\d+[HS]/i.test(text)) return refuse(' has hours or seconds without a T before them', `PT${shown.slice(1)}`);
    if (/^-?P-?\d/i.test(text) && text.includes('-')) return refuse(' is negative', 'a period above zero');
    return refuse(' cannot be read');
  }
  const [, years, months, weeks, days, time, hours, minutes, seconds, fraction] = match;
  if (time === 'T') return refuse(' has nothing after its T');
  if (text === 'P' && !bare) return refuse(' is empty');
  const whole = (part: string | undefined): number => (part === undefined ? 0 : Number(part));
  // Instants are whole milliseconds; what is finer is cut off.
  const fraction_ms = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'));
  const duration: Duration = {
    months: whole(years) * 12 + whole(months),
    days: whole(weeks) * 7 + whole(days),
    ms: whole(hours) * 3_600_000 + whole(minutes) * 60_000 + whole(seconds) * 1000 + fraction_ms,
  };
  if (approximateMs(duration) > years_max * 366 * 86_400_000)
    return refuse(' is too long', `at most ${years_max} years`);
  return good(duration);
}

/** Milliseconds of an average one: exact for days and time, and over 400 years for months. */
export const approximateMs = (duration: Duration): number =>
  duration.months * 2_629_746_000 + duration.days * 86_400_000 + duration.ms;

export const isZero = (duration: Duration): boolean =>
  duration.months === 0 && duration.days === 0 && duration.ms === 0;

/** Writes a period in its shortest usual form: `P1Y`, `P2W`, `PT36H`, `PT0S`. */
export function printDuration(duration: Duration): string {
  const { months, days, ms } = duration;
  if (isZero(duration)) return 'PT0S';
  const years = Math.floor(months / 12);
  let text = 'P';
  if (years > 0) text += `${years}Y`;
  if (months % 12 > 0) text += `${months % 12}M`;
  if (days > 0) text += months === 0 && ms === 0 && days % 7 === 0 ? `${days / 7}W` : `${days}D`;
  if (ms === 0) return text;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1000;
  return `${text}T${hours > 0 ? `${hours}H` : ''}${minutes > 0 ? `${minutes}M` : ''}${seconds > 0 ? `${seconds}S` : ''}`;
}
