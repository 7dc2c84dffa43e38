// cron.ts: a crontab line as sets of numbers, read from text and written back.
//
//   second  minute  hour  day-of-month  month  day-of-week        (the first one only when there are six)
//   0-59    0-59    0-23  1-31          1-12   0-7 (0, 7 = Sunday)
//
// Each field is a small set, kept as bits, so that "the next member from here" is one machine instruction. What a set
// cannot say, because it depends on the month (the last day, the weekday nearest the 15th, the second Monday), is kept
// beside it as rules. Finding instants is the business of cron-days.ts and cron-walk.ts.

import { stableHash } from './hash.ts';
import { bad, good, type Problem, type Result } from './problem.ts';

/** A set of numbers from 0 to 59, thirty bits in each half. */
export type Sixty = { readonly low: number; readonly high: number };

/** A rule for days that depends on the month it is asked about. */
export type DayRule =
  /** `L` and `L-n`: n days before the last day. */
  | { readonly rule: 'last'; readonly before: number }
  /** `LW`: the last Monday-to-Friday. */
  | { readonly rule: 'last_weekday' }
  /** `15W`: the Monday-to-Friday nearest to the 15th, without leaving the month. */
  | { readonly rule: 'nearest_weekday'; readonly day: number }
  /** `MON#2`: the second Monday. */
  | { readonly rule: 'nth'; readonly weekday: number; readonly nth: number }
  /** `5L`: the last Friday. */
  | { readonly rule: 'last_of'; readonly weekday: number };

export type CronFields = {
  readonly seconds: Sixty;
  readonly minutes: Sixty;
  /** Bit h for hour h. */
  readonly hours: number;
  /** Bit d for day d; bit 0 is never set. */
  readonly days: number;
  readonly day_rules: readonly DayRule[];
  /** Bit m for month m. */
  readonly months: number;
  /** Bit w for weekday w, 0 = Sunday. */
  readonly weekdays: number;
  readonly weekday_rules: readonly DayRule[];
  /** The field began with `*` or was `?`: what the Vixie rule asks. */
  readonly any_day: boolean;
  readonly any_weekday: boolean;
  /** How the two day fields combine: `or` when both restrict (the Vixie rule), else `and`. */
  readonly combine: 'and' | 'or';
};

export type CronOptions = {
  readonly day_rule?: 'vixie' | 'and';
  /** Aurora's narrower grammar. */
  readonly strict?: boolean;
  /** What `H` is hashed from. */
  readonly job_key?: string;
  readonly place?: string;
};

/** What a line says: fields, or `@reboot`, which has no times at all. */
export type Cron = { readonly kind: 'fields'; readonly fields: CronFields } | { readonly kind: 'reboot' };

export const cron_text_max = 1000;
/** Nobody reads more of them, and each quotes the whole line. */
const problems_max = 12;

const macros: { readonly [name: string]: string } = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

type FieldName = 'second' | 'minute' | 'hour' | 'day-of-month' | 'month' | 'day-of-week';
type FieldSpec = {
  readonly name: FieldName;
  readonly low: number;
  /** The largest value that may be written. */
  readonly high: number;
  /** The largest member of the set: Sunday may be written 7, but the set knows it as 0. */
  readonly top: number;
  readonly names?: { readonly [name: string]: number };
};
const months_by_name = Object.fromEntries(
  ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'].map((name, i) => [name, i + 1]),
);
const weekdays_by_name = Object.fromEntries(
  ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'].map((name, i) => [name, i]),
);
const second_field: FieldSpec = { name: 'second', low: 0, high: 59, top: 59 };
const minute_field: FieldSpec = { name: 'minute', low: 0, high: 59, top: 59 };
const hour_field: FieldSpec = { name: 'hour', low: 0, high: 23, top: 23 };
const day_field: FieldSpec = { name: 'day-of-month', low: 1, high: 31, top: 31 };
const month_field: FieldSpec = { name: 'month', low: 1, high: 12, top: 12, names: months_by_name };
const weekday_field: FieldSpec = { name: 'day-of-week', low: 0, high: 7, top: 6, names: weekdays_by_name };
const strict_weekday_field: FieldSpec = { ...weekday_field, high: 6 };

/** Reads a crontab line. Every bad part is named; nothing is guessed. */
export function parseCron(text: string, options: CronOptions = {}): Result<Cron> {
  const place = options.place ?? '/cron';
  if (text.length > cron_text_max)
    return bad({
      place,
      value: `${text.slice(0, 64)}...`,
      message: `a crontab line of ${text.length} characters: expected at most ${cron_text_max}`,
      expected: `at most ${cron_text_max} characters`,
    });
  const line = text.trim();
  if (line.startsWith('@') && options.strict !== true) {
    if (line.toLowerCase() === '@reboot') return good({ kind: 'reboot' });
    const macro = macros[line.toLowerCase()];
    if (macro !== undefined) return parseCron(macro, { ...options, place });
    const expected = `one of ${[...Object.keys(macros), '@reboot'].join(', ')}`;
    return bad({ place, value: text, message: `unknown macro "${line}": expected ${expected}`, expected });
  }
  const words = line === '' ? [] : line.split(/\s+/);
  if (words.length !== 5 && (words.length !== 6 || options.strict === true)) {
    const expected = options.strict === true ? '5 fields' : '5 fields, or 6 with seconds first';
    return bad({ place, value: text, message: `${words.length} fields in "${text}": expected ${expected}`, expected });
  }
  const reader = new FieldReader(text, place, options);
  let next = 0;
  const seconds = words.length === 6 ? reader.read(second_field, words[next++]!) : on_the_minute;
  const minutes = reader.read(minute_field, words[next++]!);
  const hours = reader.read(hour_field, words[next++]!);
  const days = reader.read(day_field, words[next++]!);
  const months = reader.read(month_field, words[next++]!);
  const weekdays = reader.read(options.strict === true ? strict_weekday_field : weekday_field, words[next]!);
  if (reader.problems.length > 0) return bad(...reader.problems);
  const vixie = options.day_rule !== 'and' && !days.star && !weekdays.star;
  if (options.strict === true && vixie) {
    const expected = '* in day-of-month or in day-of-week';
    return bad({
      place,
      value: text,
      message: `both day fields restrict in "${text}": expected ${expected}`,
      expected,
    });
  }
  return good({
    kind: 'fields',
    fields: {
      seconds: { low: seconds.low, high: seconds.high },
      minutes: { low: minutes.low, high: minutes.high },
      hours: hours.low,
      // Days reach to 31, one more than a half holds: put the two halves together again.
      days: (days.low | (days.high << 30)) >>> 0,
      day_rules: days.rules,
      months: months.low,
      weekdays: weekdays.low,
      weekday_rules: weekdays.rules,
      any_day: days.star,
      any_weekday: weekdays.star,
      combine: vixie ? 'or' : 'and',
    },
  });
}

type Field = { low: number; high: number; star: boolean; rules: readonly DayRule[] };
const on_the_minute: Field = { low: 1, high: 0, star: false, rules: [] };
const no_rules: readonly DayRule[] = [];

/** Reads the fields of one line and collects what is wrong with them. */
class FieldReader {
  readonly problems: Problem[] = [];
  readonly #text: string;
  readonly #place: string;
  readonly #options: CronOptions;

  constructor(text: string, place: string, options: CronOptions) {
    this.#text = text;
    this.#place = place;
    this.#options = options;
  }

  read(spec: FieldSpec, word: string): Field {
    const days = spec.name === 'day-of-month' || spec.name === 'day-of-week';
    const field: Field = {
      low: 0,
      high: 0,
      star: word[0] === '*' || (word[0] === '?' && days),
      rules: no_rules,
    };
    if (word === '*') {
      addRange(field, spec.low, spec.top, 1);
      return field;
    }
    if (!word.includes(',')) this.#item(spec, word, field);
    else for (const item of word.split(',')) this.#item(spec, item, field);
    return field;
  }

  #item(spec: FieldSpec, item: string, field: Field): void {
    const strict = this.#options.strict === true;
    const slash = item.indexOf('/');
    const range = slash < 0 ? item : item.slice(0, slash);
    let step = 1;
    if (slash >= 0) {
      const size = spec.top - spec.low + 1;
      step = digits(item, slash + 1, item.length);
      // Aurora compares the step of a range with the largest value, which our size exceeds by one or two.
      const step_max = strict && range !== '*' ? spec.top - 1 : size;
      if (step < 1 || step > step_max) {
        this.#bad(spec, `step ${item.slice(slash + 1)}`, `1-${step_max}`);
        return;
      }
    }
    if (range === '*') {
      addRange(field, spec.low, spec.top, step);
      return;
    }
    if (!strict) {
      if (range === '?' && (spec.name === 'day-of-month' || spec.name === 'day-of-week') && slash < 0) {
        addRange(field, spec.low, spec.top, 1);
        return;
      }
      const first = range.charCodeAt(0) | 32;
      if (first === 104 /* h */) {
        this.#hashed(spec, range, step, slash >= 0, field);
        return;
      }
      if (spec.name === 'day-of-month' && slash < 0 && this.#dayRule(spec, range, field)) return;
      if (spec.name === 'day-of-week' && slash < 0 && this.#weekdayRule(spec, range, field)) return;
    }
    const dash = range.indexOf('-');
    if (dash < 0) {
      const value = this.#value(spec, range, 0, range.length);
      if (value < 0) return;
      if (slash < 0) {
        addOne(field, spec, value);
        return;
      }
      if (strict) {
        this.#bad(spec, `"${item}"`, 'a step after * or after a range');
        return;
      }
      addRange(field, value > spec.top ? 0 : value, spec.top, step);
      return;
    }
    const from = this.#value(spec, range, 0, dash);
    const to = this.#value(spec, range, dash + 1, range.length);
    if (from < 0 || to < 0) return;
    if (from <= to) {
      for (let value = from; value <= to; value += step) addOne(field, spec, value);
      return;
    }
    if (strict) {
      this.#bad(spec, `range ${range}`, 'a range that does not wrap around');
      return;
    }
    // 22-2 means 22, 23, 0, 1, 2. Here Sunday is 0 again, and a 7 at the start has become one.
    const start = from > spec.top ? spec.low : from;
    const size = spec.top - spec.low + 1;
    const length = (((to - start) % size) + size) % size;
    for (let i = 0; i <= length; i += step) addOne(field, spec, spec.low + ((start - spec.low + i) % size));
  }

  /** The number or name between two places of `text`; -1 after it has been complained about. */
  #value(spec: FieldSpec, text: string, from: number, to: number): number {
    let value = digits(text, from, to);
    if (value < 0 && spec.names !== undefined && to - from === 3)
      value = spec.names[text.slice(from, to).toUpperCase()] ?? -1;
    if (value >= spec.low && value <= spec.high) return value;
    const shown = from === to ? 'nothing' : text.slice(from, to);
    this.#bad(spec, shown, rangeOf(spec));
    return -1;
  }

  /** `H`, `H/15`, `H(0-29)`, `H(0-29)/10`: a place within the range that only the job's key decides. */
  #hashed(spec: FieldSpec, range: string, step: number, stepped: boolean, field: Field): void {
    let low = spec.low;
    // Every month has a 28th; a job hashed to the 31st would be silent for half of the year.
    let high = spec.name === 'day-of-month' ? 28 : spec.top;
    if (range.length > 1) {
      const bounds = /^[hH]\((\d{1,2})-(\d{1,2})\)$/.exec(range);
      if (bounds === null) {
        this.#bad(spec, `"${range}"`, 'H, H/n or H(a-b)');
        return;
      }
      low = this.#value(spec, bounds[1]!, 0, bounds[1]!.length);
      high = this.#value(spec, bounds[2]!, 0, bounds[2]!.length);
      if (low < 0 || high < 0) return;
      if (low > high) {
        this.#bad(spec, `"${range}"`, 'H(a-b) with a at most b');
        return;
      }
    }
    const hash = stableHash(`${this.#options.job_key ?? ''} ${spec.name}`);
    if (!stepped) {
      addOne(field, spec, low + (hash % (high - low + 1)));
      return;
    }
    const first = low + (hash % Math.min(step, high - low + 1));
    for (let value = first; value <= high; value += step) addOne(field, spec, value);
  }

  #dayRule(spec: FieldSpec, range: string, field: Field): boolean {
    const last = range.charCodeAt(range.length - 1) | 32;
    if ((range.charCodeAt(0) | 32) === 108 /* l */) {
      const before = range.length === 1 ? 0 : range[1] === '-' ? digits(range, 2, range.length) : -1;
      if (/^lw$/i.test(range)) addRule(field, { rule: 'last_weekday' });
      else if (before >= 0 && before <= 30) addRule(field, { rule: 'last', before });
      else this.#bad(spec, `"${range}"`, 'L, LW, or L-n with n in 0-30');
      return true;
    }
    if (last !== 119 /* w */) return false;
    const day = this.#value(spec, range, 0, range.length - 1);
    if (day > 0) addRule(field, { rule: 'nearest_weekday', day });
    return true;
  }

  #weekdayRule(spec: FieldSpec, range: string, field: Field): boolean {
    const hash = range.indexOf('#');
    if (hash >= 0) {
      const weekday = this.#value(spec, range, 0, hash);
      const nth = digits(range, hash + 1, range.length);
      if (weekday < 0) return true;
      if (nth >= 1 && nth <= 5) addRule(field, { rule: 'nth', weekday: weekday % 7, nth });
      else this.#bad(spec, `"${range}"`, 'a number in 1-5 after #');
      return true;
    }
    if ((range.charCodeAt(range.length - 1) | 32) !== 108 /* l */) return false;
    // A lone L is Saturday to some and the last day of the month to others: it has to be said which weekday.
    if (range.length === 1) this.#bad(spec, '"L"', 'a weekday before the L, such as 5L or FRIL');
    else {
      const weekday = this.#value(spec, range, 0, range.length - 1);
      if (weekday >= 0) addRule(field, { rule: 'last_of', weekday: weekday % 7 });
    }
    return true;
  }

  #bad(spec: FieldSpec, shown: string, expected: string): void {
    if (this.problems.length >= problems_max) return;
    this.problems.push({
      place: this.#place,
      value: this.#text,
      message: `${spec.name} ${shown} in "${this.#text}": expected ${expected}`,
      expected,
    });
  }
}

const rangeOf = (spec: FieldSpec): string =>
  spec.name === 'month'
    ? '1-12 or JAN-DEC'
    : spec.name === 'day-of-week'
      ? `0-${spec.high} or SUN-SAT`
      : `${spec.low}-${spec.high}`;

/** The decimal number in text[from, to); -1 when that is empty, not a number, or longer than three digits. */
function digits(text: string, from: number, to: number): number {
  if (from >= to || to - from > 3) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function addOne(field: Field, spec: FieldSpec, value: number): void {
  const bit = value > spec.top ? spec.low : value;
  if (bit < 30) field.low |= 1 << bit;
  else field.high |= 1 << (bit - 30);
}

function addRange(field: Field, from: number, to: number, step: number): void {
  for (let bit = from; bit <= to; bit += step)
    if (bit < 30) field.low |= 1 << bit;
    else field.high |= 1 << (bit - 30);
}

function addRule(field: Field, rule: DayRule): void {
  field.rules = [...field.rules, rule];
}
