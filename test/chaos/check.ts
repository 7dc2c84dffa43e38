// check.ts: the judge of a chaos run: which targets were run, and which were not, or twice, or not to their end.
//
// Twice over. By name: every run says for which target it was started. And by time alone, without believing a word: runs
// are dealt out to windows that open at a target and close some time later, the window that closes first being served
// first; a run without a window is extra, a window without a run missed. Pure.

import type { JobKey } from '../../actors/model/ids.ts';
import type { Mark, Work } from './targets.ts';

/** A row of the scheduler's own books: so many targets from one instant to another had this outcome. */
export type Row = {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly outcome: string;
};
export type Target = {
  readonly job: JobKey;
  readonly at_ms: number;
  /** Of the first run that was started for it. */
  readonly begun_ms?: number;
  readonly ended_ms?: number;
  readonly starts: number;
};
export type Verdict = {
  readonly targets: readonly Target[];
  readonly ran: number;
  /** Run, but later than a run is on time. */
  readonly late: number;
  /** Not run, and recorded as such: missed, superseded or skipped. */
  readonly missed: number;
  /** Neither run nor accounted for. */
  readonly lost: number;
  /** Run more than once. */
  readonly doubled: number;
  /** Begun and never ended. */
  readonly incomplete: number;
  /** Runs that no window wants, and windows that no run serves, by time alone. */
  readonly extra: number;
  readonly unserved: number;
  /** By the scheduler's own books. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What was wrong, one line each. */
  readonly complaints: readonly string[];
};

/** How late a run is still on time, as the scheduler has it too. */
export const window_ms = 5_000;
const run_outcomes = ['ran', 'caught-up'];

/** `late_ms_max`: no window stays open for longer. */
export function check(
  works: readonly Work[],
  marks: readonly Mark[],
  books: ReadonlyMap<JobKey, readonly Row[]>,
  late_ms_max: number,
): Verdict {
  const targets: Target[] = [];
  const complaints: string[] = [];
  const outcomes: Record<string, number> = {};
  let missed = 0;
  let extra = 0;
  let unserved = 0;
  for (const work of works) {
    const starts = grouped(marks.filter(({ verb, job }) => verb === 'start' && job === work.key));
    const ends = grouped(marks.filter(({ verb, job }) => verb === 'end' && job === work.key));
    const rows = books.get(work.key) ?? [];
    for (const { outcome, count } of rows) outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
    for (let n = 0; n < work.count; n++) {
      const at_ms = work.start_ms + n * work.interval_ms;
      const begun = starts.get(at_ms) ?? [];
      const ended = ends.get(at_ms) ?? [];
      starts.delete(at_ms);
      const [first] = begun;
      const [last] = ended;
      targets.push({
        job: work.key,
        at_ms,
        starts: begun.length,
        ...(first === undefined ? {} : { begun_ms: first.at_ms }),
        ...(last === undefined ? {} : { ended_ms: last.at_ms }),
      });
      const name = `${work.key} at ${new Date(at_ms).toISOString()}`;
      const told = rows.filter(row => Date.parse(row.from) <= at_ms && at_ms <= Date.parse(row.to));
      const said = told.map(({ outcome }) => outcome).join(' and ');
      if (told.length !== 1) complaints.push(`${name} has ${told.length} outcomes: expected one ${said}`);
      if (begun.length === 0) {
        if (told.length > 0 && !told.some(({ outcome }) => run_outcomes.includes(outcome))) missed++;
        complaints.push(`${name} was not run; its outcome is ${said || 'not there'}`);
      } else if (!told.some(({ outcome }) => run_outcomes.includes(outcome)))
        complaints.push(`${name} was run, and its outcome is ${said || 'not there'}`);
      if (begun.length > 1) complaints.push(`${name} was run ${begun.length} times: ${begun.map(wordsOf).join('; ')}`);
      if (begun.length > 0 && ended.length === 0) complaints.push(`${name} was begun and never ended`);
      if (first !== undefined && first.at_ms < at_ms)
        complaints.push(`${name} was run ${at_ms - first.at_ms} ms early`);
    }
    for (const [at_ms, strangers] of starts)
      complaints.push(
        `${work.key} has no target at ${new Date(at_ms).toISOString()}: ${strangers.map(wordsOf).join('; ')}`,
      );
    const dealt = assign(
      targets.filter(({ job }) => job === work.key).map(({ at_ms }) => ({ from: at_ms, to: at_ms + late_ms_max })),
      marks.filter(({ verb, job }) => verb === 'start' && job === work.key).map(({ at_ms }) => at_ms),
    );
    extra += dealt.extra;
    unserved += dealt.unserved;
  }
  const run = targets.filter(({ starts }) => starts > 0);
  return {
    targets,
    ran: run.length,
    late: run.filter(({ at_ms, begun_ms }) => begun_ms! - at_ms > window_ms).length,
    missed,
    lost: targets.length - run.length - missed,
    doubled: targets.filter(({ starts }) => starts > 1).length,
    incomplete: run.filter(({ ended_ms }) => ended_ms === undefined).length,
    extra,
    unserved,
    outcomes,
    complaints,
  };
}

/** Deals runs, in the order in which they began, to windows: of those that are open to the one that closes first. */
export function assign(
  windows: readonly { readonly from: number; readonly to: number }[],
  runs: readonly number[],
): { readonly extra: number; readonly unserved: number } {
  const waiting = [...windows].sort((one, other) => one.to - other.to);
  let extra = 0;
  for (const at of [...runs].sort((one, other) => one - other)) {
    const found = waiting.findIndex(({ from, to }) => from <= at && at <= to);
    if (found === -1) extra++;
    else waiting.splice(found, 1);
  }
  return { extra, unserved: waiting.length };
}

function grouped(marks: readonly Mark[]): Map<number, Mark[]> {
  const groups = new Map<number, Mark[]>();
  for (const mark of marks) groups.set(mark.target_ms, [...(groups.get(mark.target_ms) ?? []), mark]);
  return groups;
}

const wordsOf = ({ run, attempt, at_ms }: Mark) => `${run} attempt ${attempt} at ${new Date(at_ms).toISOString()}`;
