// cron-print.ts: a crontab line written back from its sets, so that reading it again gives the same sets.
//
// It is not the text that somebody wrote (`@daily` has become `0 0 * * *`, names have become numbers, `H` the number that
// the job's key chose) but one that means the same, in a form that is always the same.

import type { CronFields, DayRule, Sixty } from './cron.ts';

export function printCron(fields: CronFields): string {
  const on_the_minute = fields.seconds.low === 1 && fields.seconds.high === 0;
  const words = [
    printField(members60(fields.seconds), 0, 59, false, []),
    printField(members60(fields.minutes), 0, 59, false, []),
    printField(members(fields.hours, 23), 0, 23, false, []),
    printField(members(fields.days, 31), 1, 31, fields.any_day, fields.day_rules),
    printField(members(fields.months, 12), 1, 12, false, []),
    printField(members(fields.weekdays, 6), 0, 6, fields.any_weekday, fields.weekday_rules),
  ];
  return (on_the_minute ? words.slice(1) : words).join(' ');
}

/** The numbers from 0 to `top` whose bits are set. */
export function members(bits: number, top: number): number[] {
  const found: number[] = [];
  for (let i = 0; i <= top; i++) if ((bits >>> i) & 1) found.push(i);
  return found;
}

export const members60 = (set: Sixty): number[] => [...members(set.low, 29), ...members(set.high, 29).map(n => n + 30)];

/** `starred`: the field must begin with a star again, because the Vixie rule looks at how it was written. */
function printField(numbers: number[], low: number, top: number, starred: boolean, rules: readonly DayRule[]): string {
  const items: string[] = [];
  const full = numbers.length === top - low + 1;
  let rest = numbers;
  // Only in the day fields is a star more than a full range.
  const day_field = top === 31 || top === 6;
  if (full && (starred || !day_field)) {
    items.push('*');
    rest = [];
  } else if (starred) {
    const set = new Set(numbers);
    for (let step = 1; step <= top - low + 1; step++) {
      const starts = numbers.filter(n => (n - low) % step === 0);
      if (starts.length !== Math.floor((top - low) / step) + 1) continue;
      items.push(`*/${step}`);
      for (const n of starts) set.delete(n);
      break;
    }
    rest = [...set];
  }
  for (let i = 0; i < rest.length; ) {
    let end = i;
    while (end + 1 < rest.length && rest[end + 1] === rest[end]! + 1) end++;
    if (end - i >= 2) items.push(`${rest[i]}-${rest[end]}`);
    else for (let j = i; j <= end; j++) items.push(String(rest[j]));
    i = end + 1;
  }
  return [...items, ...rules.map(printRule)].join(',');
}

function printRule(rule: DayRule): string {
  switch (rule.rule) {
    case 'last':
      return rule.before === 0 ? 'L' : `L-${rule.before}`;
    case 'last_weekday':
      return 'LW';
    case 'nearest_weekday':
      return `${rule.day}W`;
    case 'nth':
      return `${rule.weekday}#${rule.nth}`;
    case 'last_of':
      return `${rule.weekday}L`;
  }
}
