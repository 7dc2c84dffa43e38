// calendar.ts: the schema of calendars: rules that stand in a job, and calendars with a name of their own.

import { z } from 'zod';
import type { CalendarRule, CalendarSpec } from '../../schedules/calendar.ts';

const date = z.string().max(64);
const weekday = z.enum(['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']);

export const calendar_name = z
  .string()
  .min(1)
  .max(64)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]*$/,
    'expected letters, digits, ".", "_" or "-", beginning with a letter or a digit',
  );

export const calendar_rule: z.ZodType<CalendarRule> = z.union([
  z.strictObject({ date: date.describe('One day, `2026-12-25`.') }),
  z.strictObject({ from: date, to: date }).describe('Both days included; with times of day, until before the second.'),
  z.strictObject({ weekdays: z.array(weekday).min(1).max(7) }),
  z.strictObject({ yearly: z.string().max(5).describe('A day of every year, `12-25`.') }),
  z
    .strictObject({ month: z.int().min(1).max(12), weekday, nth: z.int().min(-5).max(5) })
    .describe('The nth such weekday of a month, counted from its end when negative.'),
  z.strictObject({ easter: z.int().min(-100).max(100).describe('Days after Western Easter Sunday.') }),
]);

export const rules_max = 1_000;
const entries = z.array(z.union([calendar_name, calendar_rule])).max(rules_max);

/** What a schedule says about calendars. */
export const calendar_spec: z.ZodType<CalendarSpec> = z.strictObject({
  exclude: entries.optional().describe('Rules, or names of calendars, whose days are left out.'),
  only: entries.optional().describe('Rules, or names of calendars, to whose days it keeps.'),
  on_excluded: z.enum(['skip', 'next_day']).optional().describe('`skip` when left out.'),
}) as z.ZodType<CalendarSpec>;

/** A calendar as people submit it. */
export const calendar_submission = z
  .strictObject({
    description: z.string().max(4096).optional(),
    rules: z.array(calendar_rule).max(rules_max),
  })
  .meta({ id: 'CalendarSubmission', title: 'A calendar as it is submitted' });
export type CalendarSubmission = { readonly description?: string; readonly rules: readonly CalendarRule[] };
