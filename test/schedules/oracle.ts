// oracle.ts: what a crontab line means, said in the slowest and plainest way: look at every minute and ask.
//
// Nothing here comes from schedules/. A line is read into sets; every wall minute of a window is held against them; where
// the wall shows a minute never or twice, the rules for gaps and folds are applied to that one minute.

import type { Transition, TzFile } from './tzfile.ts';

export type Rules = { readonly gap: 'skip' | 'next_valid' | 'shift'; readonly fold: 'first' | 'second' | 'both' };

export type PlainCron = {
  readonly second: readonly boolean[];
  readonly minute: readonly boolean[];
  readonly hour: readonly boolean[];
  readonly day: readonly boolean[];
  readonly month: readonly boolean[];
  readonly weekday: readonly boolean[];
  readonly either: boolean;
  readonly every_hour: boolean;
};

/** Reads numbers, `*`, ranges, lists and steps: enough to ask hard questions with. */
export function readPlain(line: string): PlainCron {
  const words = line.split(' ');
  if (words.length === 5) words.unshift('0');
  const [second, minute, hour, day, month, weekday] = words as [string, string, string, string, string, string];
  const set = (word: string, low: number, high: number): boolean[] => {
    const found = Array.from({ length: high + 1 }, () => false);
    for (const item of word.split(',')) {
      const [range, step = '1'] = item.split('/') as [string, string?];
      const [from, to] = range === '*' ? [low, high] : (range.split('-').map(Number) as [number, number?]);
      for (let i = from; i <= (to ?? (item.includes('/') ? high : from)); i += Number(step)) found[i] = true;
    }
    return found;
  };
  const hours = set(hour, 0, 23);
  const weekdays = set(weekday, 0, 7);
  if (weekdays[7]) weekdays[0] = true;
  return {
    second: set(second, 0, 59),
    minute: set(minute, 0, 59),
    hour: hours,
    day: set(day, 1, 31),
    month: set(month, 1, 12),
    weekday: weekdays,
    either: !day.startsWith('*') && !weekday.startsWith('*'),
    every_hour: hours.every(Boolean),
  };
}

/** A stretch of wall time taken apart once, to be held against many lines. */
export type WallWindow = {
  readonly wall: number;
  readonly second: number;
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}[];

export function wallWindow(from: number, to: number, step_ms: number): WallWindow {
  const window: WallWindow = [];
  for (let wall = Math.ceil(from / step_ms) * step_ms; wall <= to; wall += step_ms) {
    const date = new Date(wall);
    window.push({
      wall,
      second: date.getUTCSeconds(),
      minute: date.getUTCMinutes(),
      hour: date.getUTCHours(),
      day: date.getUTCDate(),
      month: date.getUTCMonth() + 1,
      weekday: date.getUTCDay(),
    });
  }
  return window;
}

/** The targets in (from, to], found by looking at every entry of the window, which reaches at least two days further. */
export function targetsOf(
  cron: PlainCron,
  window: WallWindow,
  zone: TzFile,
  rules: Rules,
  from: number,
  to: number,
): number[] {
  const near = zone.transitions.filter(change => change.at > from - 4 * 86400_000 && change.at < to + 4 * 86400_000);
  const offsets = new Set([zone.offsetAt(from - 4 * 86400_000), ...near.map(change => change.after_ms)]);
  const found = new Set<number>();
  for (const entry of window) {
    if (!cron.minute[entry.minute] || !cron.hour[entry.hour] || !cron.second[entry.second]) continue;
    if (!cron.month[entry.month]) continue;
    const by_day = cron.day[entry.day]!;
    const by_weekday = cron.weekday[entry.weekday]!;
    if (cron.either ? !by_day && !by_weekday : !by_day || !by_weekday) continue;
    const shown: number[] = [];
    for (const offset of offsets) if (zone.offsetAt(entry.wall - offset) === offset) shown.push(entry.wall - offset);
    shown.sort((a, b) => a - b);
    if (cron.every_hour) for (const at of shown) found.add(at);
    else if (shown.length === 0) {
      const gap = near.find(
        (change: Transition) => entry.wall >= change.at + change.before_ms && entry.wall < change.at + change.after_ms,
      );
      if (gap === undefined) {
        if (entry.wall - 86400_000 > from && entry.wall + 86400_000 < to)
          throw new Error(`${entry.wall} in ${zone.name} is shown nowhere`);
      } else if (rules.gap === 'next_valid') found.add(gap.at);
      else if (rules.gap === 'shift') found.add(entry.wall - gap.before_ms);
    } else if (rules.fold === 'both') for (const at of shown) found.add(at);
    else found.add(rules.fold === 'first' ? shown[0]! : shown.at(-1)!);
  }
  return [...found].filter(at => at > from && at <= to).sort((a, b) => a - b);
}

/** A die that can be thrown again: mulberry32. */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
