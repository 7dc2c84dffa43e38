// question.ts: a question about a schedule, as a command line or a query string asks it, and its answer.
//
// Whoever asks has texts: a line, a zone, an instant. They are read here as they are read in a job, so that what is
// explained is what would run. The answer needs no scheduler: it follows from the texts, the zone and the instant alone.

import type { Instant } from './clock.ts';
import { type Explanation, explain, explain_count_max } from './explain.ts';
import { parseTime } from './iso8601.ts';
import { bad, good, type Problem, type Result } from './problem.ts';
import { placeWall } from './repeat.ts';
import { compile, type FoldRule, type GapRule, type Schedule, type ScheduleSpec } from './schedule.ts';
import { findZone } from './zone-names.ts';

/** What may be asked, in the words of a query string. Everything but `spec` may be left out. */
export const question_fields = {
  spec: 'A crontab line or an ISO 8601 repeating interval.',
  zone: "IANA time zone; the scheduler's default zone when left out.",
  from: 'ISO 8601 instant after which to begin, on the wall of the zone when without an offset; now when left out.',
  count: `How many instants, 1-${explain_count_max}; 5 when left out.`,
  gap: 'Wall times that do not exist: skip, next_valid (when left out) or shift.',
  fold: 'Wall times that exist twice: first (when left out), second or both.',
  day_rule: 'Day of month and day of week together: vixie (either, when left out) or and.',
  dialect: 'native (when left out), chronos or aurora.',
  job: 'Job key from which H in a crontab line is hashed.',
} as const;
export type QuestionField = keyof typeof question_fields;
export type Question = { readonly [field in QuestionField]?: string };
export type Explained = Explanation & { readonly spec: string; readonly from: string };

const count_default = 5;
const spec_shown_max = 200;
const dialects = ['native', 'chronos', 'aurora'] as const;

/** The answer, or everything that is wrong with the question; `place` names the field, as its asker writes it. */
export function answerQuestion(
  question: Question,
  asked_at: Instant,
  default_zone: string,
  place: (field: QuestionField) => string,
): Result<Explained> {
  const problems: Problem[] = [];
  const refuse = (field: QuestionField, value: string | undefined, message: string, expected: string) =>
    problems.push({ place: place(field), value, message: `${message}: expected ${expected}`, expected });
  const one = <T extends string>(field: QuestionField, allowed: readonly T[]): T | undefined => {
    const given = question[field];
    const known = allowed.find(each => each === given);
    if (given !== undefined && known === undefined)
      refuse(field, given, `${field} "${given.slice(0, 40)}"`, `one of ${allowed.join(', ')}`);
    return known;
  };
  const spec = question.spec?.trim() ?? '';
  if (spec === '')
    refuse('spec', question.spec, 'there is no schedule', 'a crontab line such as "0 3 * * *", or R//PT1H');
  const count = question.count === undefined ? count_default : Number(question.count);
  if (!/^\d{1,6}$/.test(question.count ?? '5') || count < 1 || count > explain_count_max)
    refuse('count', question.count, `count "${question.count?.slice(0, 40)}"`, `1-${explain_count_max}`);
  const gap = one<GapRule>('gap', ['skip', 'next_valid', 'shift']);
  const fold = one<FoldRule>('fold', ['first', 'second', 'both']);
  const day_rule = one('day_rule', ['vixie', 'and']);
  const dialect = one('dialect', dialects);
  const from = fromOf(question, asked_at, default_zone, dialect === 'chronos');
  if (!from.ok) problems.push(...from.problems.map(each => ({ ...each, place: place('from') })));

  // What begins with R, or with a time or a period, was meant as an interval, well written or not.
  const interval = /^(R|P|\d{4}-\d|\/)/i.test(spec);
  const document: ScheduleSpec = {
    ...(interval ? { iso8601: spec } : { cron: spec }),
    ...(question.zone === undefined ? {} : { zone: question.zone }),
    ...(gap === undefined && fold === undefined
      ? {}
      : { dst: { ...(gap === undefined ? {} : { gap }), ...(fold === undefined ? {} : { fold }) } }),
    ...(day_rule === undefined ? {} : { day_rule }),
  };
  const begin = from.ok ? from.value : asked_at;
  const compiled: Result<Schedule> =
    spec === ''
      ? bad()
      : compile(document, {
          now: begin,
          default_zone,
          job_key: question.job ?? 'role/environment/name',
          ...(dialect === undefined ? {} : { dialect }),
        });
  if (!compiled.ok)
    problems.push(
      ...compiled.problems.map(each => ({ ...each, place: place(/zone$/.test(each.place) ? 'zone' : 'spec') })),
    );
  if (problems.length > 0 || !compiled.ok) return bad(...problems);
  const schedule = compiled.value;
  // An interval without a start begins when it is accepted: that first target is not before the question but in it.
  const fresh = schedule.timing.kind === 'repeat' && /^R\d*\/\//i.test(spec);
  const after = fresh && schedule.start !== undefined ? schedule.start - 1 : begin;
  const shown = spec.length > spec_shown_max ? `${spec.slice(0, spec_shown_max)}...` : spec;
  return good({ spec: shown, from: new Date(begin).toISOString(), ...explain(schedule, after, count) });
}

function fromOf(question: Question, asked_at: Instant, default_zone: string, java: boolean): Result<Instant> {
  if (question.from === undefined) return good(asked_at);
  const time = parseTime(question.from, '');
  if (!time.ok) return time;
  const { wall, offset_ms } = time.value;
  if (offset_ms !== undefined) return good(wall - offset_ms);
  // An unknown zone is told of where the schedule is read.
  const zone = findZone(question.zone ?? default_zone, '', java);
  if (!zone.ok) return good(wall);
  const placed = placeWall(wall, zone.value, { gap: 'next_valid', fold: 'first', elapsed: false });
  return good(placed === 'not there' ? wall : placed.first);
}
