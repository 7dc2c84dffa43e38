// civil.ts: the calendar on the wall, as arithmetic.
//
// A day is a number, counted from 1970-01-01, and a *wall time* is what a clock on some wall shows, written as the
// milliseconds that would have passed since 1970 had that wall always stood at offset zero. With both, a date is a few
// integer operations away and no library has to be asked. The trick is an old one: begin the year in March, so that the
// leap day comes last, and count in eras of 400 years, after which the Gregorian calendar repeats itself to the day.

/** Milliseconds since 1970-01-01T00:00 as a clock on the wall shows them; not an instant until a zone has been applied. */
export type Wall = number;

export const second_ms = 1000;
export const minute_ms = 60_000;
export const hour_ms = 3_600_000;
export const day_ms = 86_400_000;

export type CivilDate = { readonly year: number; readonly month: number; readonly day: number };

/** Days from 1970-01-01 to the given date; months from 1, and `day` may lie outside of its month. */
export function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const year_of_era = y - era * 400;
  const day_of_year = ((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) | 0;
  const day_of_era = year_of_era * 365 + ((year_of_era / 4) | 0) - ((year_of_era / 100) | 0) + day_of_year;
  return era * 146097 + day_of_era - 719468 + day - 1;
}

/** The date of a day number: what `dayNumber` undoes. */
export function civilDate(day_number: number): CivilDate {
  const z = day_number + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = ((doe - ((doe / 1460) | 0) + ((doe / 36524) | 0) - ((doe / 146096) | 0)) / 365) | 0;
  const doy = doe - (365 * yoe + ((yoe / 4) | 0) - ((yoe / 100) | 0));
  const mp = ((5 * doy + 2) / 153) | 0;
  const month = mp < 10 ? mp + 3 : mp - 9;
  return { year: yoe + era * 400 + (month <= 2 ? 1 : 0), month, day: doy - (((153 * mp + 2) / 5) | 0) + 1 };
}

export const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

const month_lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
export const monthLength = (year: number, month: number): number =>
  month === 2 && isLeap(year) ? 29 : month_lengths[month - 1]!;

/** 0 = Sunday ... 6 = Saturday. 1970-01-01 was a Thursday. */
export const weekday = (day_number: number): number => (((day_number + 4) % 7) + 7) % 7;

/** The instant of midnight UTC on 1 January: the edge of what schedules look at. */
export const yearStart = (year: number): number => dayNumber(year, 1, 1) * day_ms;

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

/** `2026-03-29`; years are written with four digits. */
export function printDate(day_number: number): string {
  const { year, month, day } = civilDate(day_number);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

/** `2026-03-29T02:30:00`, with `.250` when there is a fraction. */
export function printWall(wall: Wall): string {
  const day = Math.floor(wall / day_ms);
  const ms = wall - day * day_ms;
  const time = `${two((ms / hour_ms) | 0)}:${two(((ms / minute_ms) | 0) % 60)}:${two(((ms / second_ms) | 0) % 60)}`;
  const fraction = ms % 1000 === 0 ? '' : `.${String(ms % 1000).padStart(3, '0')}`;
  return `${printDate(day)}T${time}${fraction}`;
}

/** `Z`, `+05:30`, and `-00:44:30` for the odd zone before 1972. */
export function printOffset(offset_ms: number): string {
  if (offset_ms === 0) return 'Z';
  const seconds = Math.abs(offset_ms) / 1000;
  const rest = seconds % 60 === 0 ? '' : `:${two(seconds % 60)}`;
  return `${offset_ms < 0 ? '-' : '+'}${two((seconds / 3600) | 0)}:${two(((seconds / 60) | 0) % 60)}${rest}`;
}
