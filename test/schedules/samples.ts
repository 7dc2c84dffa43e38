// samples.ts: short ways to say a schedule in a test.

import { type CompileContext, compile, next, type Schedule, type ScheduleSpec } from '../../schedules/schedule.ts';

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

/** An instant from its ISO 8601 text. */
export function at(text: string): number {
  const instant = Date.parse(text);
  if (Number.isNaN(instant)) throw new Error(`"${text}" is no instant`);
  return instant;
}
export const iso = (instant: number | undefined): string =>
  instant === undefined ? 'never' : new Date(instant).toISOString();

export const context: CompileContext = {
  now: at('2026-01-01T00:00:00Z'),
  default_zone: 'UTC',
  job_key: 'www/prod/hello',
};

/** Compiles what must be right. */
export function good(spec: ScheduleSpec, changes: Partial<CompileContext> = {}): Schedule {
  const read = compile(spec, { ...context, ...changes });
  if (!read.ok) throw new Error(`${JSON.stringify(spec)} was refused: ${JSON.stringify(read.problems)}`);
  return read.value;
}

/** The sentences with which a spec is refused; throws when it is not. */
export function refusals(spec: ScheduleSpec, changes: Partial<CompileContext> = {}): string[] {
  const read = compile(spec, { ...context, ...changes });
  if (read.ok) throw new Error(`${JSON.stringify(spec)} was accepted`);
  return read.problems.map(problem => problem.message);
}

/** The next `count` targets after an instant, as ISO 8601 in UTC without the noise of `:00.000`. */
export function nextFew(schedule: Schedule, after: string, count: number): string[] {
  const found: string[] = [];
  let from = at(after);
  while (found.length < count) {
    const target = next(schedule, from);
    if (target === undefined) break;
    found.push(short(target));
    from = target;
  }
  return found;
}
export const short = (instant: number): string =>
  new Date(instant).toISOString().replace('.000Z', 'Z').replace(/:00Z$/, 'Z');
