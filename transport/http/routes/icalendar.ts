// icalendar.ts: a calendar file, as calendar programs export it, read into rules. Pure: text in, rules or problems out.
//
// Whole days become days: every year again where the file says so plainly, one by one where its rule is of another kind, up
// to ten years from its start. Times of day are spans on the wall of whoever uses the calendar; a time that is tied to a
// zone of its own has no place there and is refused.

import ICAL from 'ical.js';
import { rules_max } from '../../../actors/model/calendar.ts';
import type { CalendarRule, WeekdayName } from '../../../schedules/calendar.ts';
import { bad, good, type Problem, type Result } from '../../../schedules/problem.ts';

const years_max = 10;
/** Occurrences looked at in one file: its rules may be made to go on for ever. */
const occurrences_max = 20_000;
const weekdays: Readonly<Record<string, WeekdayName>> = {
  SU: 'SUN',
  MO: 'MON',
  TU: 'TUE',
  WE: 'WED',
  TH: 'THU',
  FR: 'FRI',
  SA: 'SAT',
};

export function readIcalendar(text: string): Result<readonly CalendarRule[]> {
  let root: ICAL.Component;
  try {
    root = new ICAL.Component(ICAL.parse(text) as unknown[]);
  } catch (error) {
    const message = `the calendar cannot be read: ${error instanceof Error ? error.message.slice(0, 200) : String(error)}`;
    return bad({ place: '', message, expected: 'iCalendar (RFC 5545): BEGIN:VCALENDAR ... END:VCALENDAR' });
  }
  const rules: CalendarRule[] = [];
  const problems: Problem[] = [];
  let looked = 0;
  for (const [index, component] of root.getAllSubcomponents('vevent').entries()) {
    const place = `/VEVENT/${index}`;
    if (String(component.getFirstPropertyValue('status') ?? '').toUpperCase() === 'CANCELLED') continue;
    const event = new ICAL.Event(component);
    const name = `event "${String(event.summary ?? '').slice(0, 60)}"`;
    const refuse = (message: string, expected: string) =>
      problems.push({ place, message: `${name} ${message}: expected ${expected}`, expected });
    const start = component.getFirstPropertyValue('dtstart') as ICAL.Time | null;
    if (start === null) {
      refuse('has no DTSTART', 'one');
      continue;
    }
    if (!start.isDate && (start.zone?.tzid ?? 'floating') !== 'floating') {
      refuse(`is at a time in ${start.zone.tzid}`, 'whole days, or times without a zone');
      continue;
    }
    const yearly = start.isDate ? yearlyRule(component, start, event.duration.toSeconds()) : undefined;
    if (yearly !== undefined) {
      rules.push(yearly);
      continue;
    }
    const seconds = event.duration.toSeconds();
    const until = start.year + years_max;
    const occurrences = event.isRecurring() ? event.iterator() : undefined;
    for (let at: ICAL.Time | null = occurrences?.next() ?? start; at !== null && at !== undefined; ) {
      if (at.year > until || ++looked > occurrences_max) break;
      rules.push(start.isDate ? daysFrom(at, Math.max(1, Math.round(seconds / 86_400))) : spanFrom(at, seconds));
      at = occurrences === undefined ? null : occurrences.next();
    }
  }
  if (rules.length > rules_max)
    problems.push({
      place: '',
      value: rules.length,
      message: `the calendar has ${rules.length} rules and dates: expected at most ${rules_max}`,
      expected: `at most ${rules_max}`,
    });
  return problems.length > 0 ? bad(...problems) : good(rules);
}

/** A day of every year, where the file says no more than that. */
function yearlyRule(component: ICAL.Component, start: ICAL.Time, seconds: number): CalendarRule | undefined {
  const all = component.getAllProperties('rrule');
  const others = ['rdate', 'exdate', 'recurrence-id'].some(name => component.hasProperty(name));
  if (all.length !== 1 || others || seconds > 86_400) return undefined;
  const rule = component.getFirstPropertyValue('rrule') as ICAL.Recur;
  if (rule.freq !== 'YEARLY' || rule.interval !== 1 || rule.isFinite()) return undefined;
  const parts = rule.parts as Readonly<Record<string, readonly (string | number)[]>>;
  const named = Object.keys(parts).sort().join();
  const month = Number(parts.BYMONTH?.[0] ?? start.month);
  if ((parts.BYMONTH?.length ?? 1) !== 1) return undefined;
  if (named === '' || named === 'BYMONTH' || named === 'BYMONTH,BYMONTHDAY') {
    const day = Number(parts.BYMONTHDAY?.[0] ?? start.day);
    if ((parts.BYMONTHDAY?.length ?? 1) !== 1 || day < 1) return undefined;
    return { yearly: `${two(month)}-${two(day)}` };
  }
  const nth = /^([+-]?[1-5])(SU|MO|TU|WE|TH|FR|SA)$/.exec(String(parts.BYDAY?.[0] ?? ''));
  if (named !== 'BYDAY,BYMONTH' || parts.BYDAY?.length !== 1 || nth === null) return undefined;
  return { month, weekday: weekdays[nth[2]!]!, nth: Number(nth[1]) };
}

const two = (n: number) => String(n).padStart(2, '0');
const dateOf = (at: ICAL.Time) => `${String(at.year).padStart(4, '0')}-${two(at.month)}-${two(at.day)}`;
const timeOf = (at: ICAL.Time) => `${dateOf(at)}T${two(at.hour)}:${two(at.minute)}:${two(at.second)}`;

function daysFrom(at: ICAL.Time, days: number): CalendarRule {
  if (days === 1) return { date: dateOf(at) };
  const last = at.clone();
  last.adjust(days - 1, 0, 0, 0);
  return { from: dateOf(at), to: dateOf(last) };
}

function spanFrom(at: ICAL.Time, seconds: number): CalendarRule {
  const end = at.clone();
  end.adjust(0, 0, 0, seconds);
  return { from: timeOf(at), to: timeOf(end) };
}
