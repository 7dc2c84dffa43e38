// targets.ts: the work of a chaos run: jobs that are due again and again, whose runs write down when they began and ended.
//
// It is the work at which a scheduler lost its targets in 2015: `R<n>/<start>/PT<interval>S`. Each run appends a line to a
// file outside its sandbox when it begins and one when it ends, each by one write, so that lines cannot tear.

import type { JobKey } from '../../actors/model/ids.ts';

export type Work = {
  readonly key: JobKey;
  readonly interval_ms: number;
  readonly count: number;
  readonly start_ms: number;
  readonly document: Readonly<Record<string, unknown>>;
};
/** What a run wrote. */
export type Mark = {
  readonly verb: 'start' | 'end';
  readonly job: JobKey;
  readonly target_ms: number;
  readonly run: string;
  readonly attempt: number;
  readonly at_ms: number;
};

const role = 'chaos';
const environment = 'test';
const sorts = [
  { name: 'two', interval_s: 2, lasts_s: 0.3 },
  { name: 'three', interval_s: 3, lasts_s: 1 },
  { name: 'five', interval_s: 5, lasts_s: 2.5 },
  { name: 'ten', interval_s: 10, lasts_s: 6 },
];

const command = [
  `say() { printf '%s %s %s %s %s %s\\n' "$1" "$HORAE_JOB" "$HORAE_SCHEDULED_AT" "$HORAE_RUN_ID" "$HORAE_ATTEMPT" ` +
    `"$(date +%s%3N)" >> "$BOOK"; }`,
  'say start',
  'sleep "$LASTS"',
  'say end',
].join('\n');

/** All targets of every job lie within the time that is given. */
export function works(book: string, start_ms: number, lasting_ms: number): readonly Work[] {
  return sorts.map(({ name, interval_s, lasts_s }) => {
    const interval_ms = interval_s * 1_000;
    const count = Math.max(1, Math.floor(lasting_ms / interval_ms));
    return {
      key: `${role}/${environment}/${name}`,
      interval_ms,
      count,
      start_ms,
      document: {
        role,
        environment,
        name,
        command,
        env: { BOOK: book, LASTS: String(lasts_s) },
        schedule: `R${count}/${new Date(start_ms).toISOString()}/PT${interval_s}S`,
        catch_up: { policy: 'all' },
        overlap: { policy: 'allow', max: 1_000 },
        cpus: 0.02,
        mem: 16,
      },
    };
  });
}

/** Throws on a line that no run writes. */
export function readMarks(text: string): readonly Mark[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [verb, job, target, run, attempt, at, ...rest] = line.split(' ');
      const target_ms = Date.parse(target ?? '');
      if ((verb !== 'start' && verb !== 'end') || at === undefined || rest.length > 0 || Number.isNaN(target_ms))
        throw new Error(`torn line in the book: "${line}"`);
      return { verb, job: job!, target_ms, run: run!, attempt: Number(attempt), at_ms: Number(at) };
    });
}
