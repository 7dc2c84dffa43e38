// run.ts: a chaos run from its first target to its verdict.
//
// A cluster is built, given its jobs, and left to the weather. When the last target has been, everything is mended, the
// cluster comes to rest, and what the runs wrote is laid beside the targets and beside the scheduler's own books.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { mulberry32 } from '../mesos/support/seeded.ts';
import { outcomesOf, runsOf } from '../program/horae.ts';
import { may_cut, startLan } from '../support/lan.ts';
import { killUnder } from '../support/processes.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Calls, judge, readBeginnings, startCallers, wishJob } from './callers.ts';
import { check, type Verdict } from './check.ts';
import { type Field, node_count, openField, reignsIn, sessionIn, someLeader } from './field.ts';
import { type Failover, failovers, resumptions, type Spread, type Stall, spread } from './figures.ts';
import { picture } from './picture.ts';
import { type Kind, kinds, machine_kinds, plan } from './plan.ts';
import { type Mark, readMarks, works } from './targets.ts';
import { type Event, rage } from './weather.ts';

export type ChaosOptions = {
  readonly minutes: number;
  readonly seed: number;
  /** Kinds of faults; all when left out. */
  readonly faults?: readonly Kind[];
  /** The product's own default when left out. */
  readonly session_ms?: number;
  readonly picture?: string;
  readonly say: (line: string) => void;
};
export type Report = {
  readonly seed: number;
  readonly minutes: number;
  readonly targets: number;
  readonly ran: number;
  readonly late: number;
  readonly missed: number;
  readonly lost: number;
  readonly doubled: number;
  readonly incomplete: number;
  readonly extra: number;
  readonly unserved: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly failovers: number;
  /** Changes of the leader that no fault of ours explains. */
  readonly unexplained: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Faults that could not be brought about. */
  readonly skipped: readonly string[];
  readonly session_timeout_ms: number;
  readonly first_launch: Spread & { readonly over_bound: number; readonly bound_ms: number };
  /** Where another fault fell before anything was launched; in no other figure. */
  readonly struck_again: Spread;
  /** The same from the return of ZooKeeper, and of Mesos, whether somebody else leads then or not. */
  readonly after_zookeeper: Spread;
  readonly after_mesos: Spread;
  /** What people wanted done meanwhile, at whichever node. */
  readonly writes: Omit<Calls, 'complaints' | 'waits_ms'> & { readonly waited: Spread };
  /** How often and for how long this machine stood still as a whole; failovers in it are not measured. */
  readonly stalls: { readonly count: number; readonly ms: number };
  readonly load: number;
  readonly picture?: string;
  readonly complaints: readonly string[];
  /** Where everything lies, when something was wrong or took too long. */
  readonly directory: string;
};

const bound_beyond_session_ms = 2_000;
/** From here on until the first target. */
const lead_ms = 4_000;
const rest_ms_max = 180_000;
const heartbeat_ms = 100;
const stall_ms_min = 1_500;

export async function chaos(t: Owner, options: ChaosOptions): Promise<Report> {
  const { minutes, seed, say } = options;
  const directory = mkdtempSync(join(tmpdir(), `horae-chaos-${seed}-`));
  t.teardown(() => killUnder(directory));
  const stalls = watchMachine(t);
  const lan = may_cut === undefined ? undefined : await startLan(t, node_count);
  const field = await openField(t, directory, options.session_ms, lan);
  const leader = await someLeader(field, rest_ms_max);
  const session_ms = sessionIn(field);
  const book = join(directory, 'book');
  const from_ms = Math.ceil((Date.now() + lead_ms) / 1_000) * 1_000;
  const lasting_ms = minutes * 60_000;
  const jobs = works(book, from_ms, lasting_ms);
  for (const { key, document } of jobs) {
    const answer = await leader.api.request('POST', '/api/v1/jobs', document);
    if (answer.status !== 201) throw new Error(`${key} was answered ${answer.status} ${answer.text}`);
  }
  const wish_book = join(directory, 'wishes');
  const wish_job = wishJob(wish_book);
  const opened = await leader.api.request('POST', '/api/v1/jobs', wish_job);
  if (opened.status !== 201) throw new Error(`the job for wishes was answered ${opened.status} ${opened.text}`);
  say(`${jobs.reduce((sum, { count }) => sum + count, 0)} targets of ${jobs.length} jobs; session ${session_ms} ms`);

  const possible = lan === undefined ? kinds.filter(kind => !machine_kinds.includes(kind)) : kinds;
  const steps = plan(mulberry32(seed), session_ms, options.faults ?? possible);
  // The last fault is to be over, and looked at, while there still are targets.
  const last_fault_ms = from_ms + lasting_ms - 2 * session_ms;
  await until('the first target', () => Date.now() >= from_ms, 2 * lead_ms);
  const callers = startCallers(field.nodes.map(({ api }) => api));
  const { events, skipped, broken } = await rage(
    field,
    steps,
    () => Date.now() >= last_fault_ms,
    session_ms,
    line => say(`${((Date.now() - from_ms) / 60_000).toFixed(2)} min: ${line}`),
  );
  const marks = () => (existsSync(book) ? readMarks(readFileSync(book, 'utf8')) : []);
  const wanted = jobs.reduce((sum, { count }) => sum + count, 0);
  await until('the last target', () => Date.now() >= from_ms + lasting_ms, lasting_ms + lead_ms);
  // Not an error of ours when it never comes: the verdict says what is missing.
  const rested = () => new Set(marks().flatMap(mark => (mark.verb === 'end' ? [`${mark.job} ${mark.target_ms}`] : [])));
  await until('every run to end', () => rested().size >= wanted, rest_ms_max).catch(() =>
    say('it did not come to rest'),
  );

  const wishes = await callers.stop(rest_ms_max);
  const promised = wishes.flatMap(({ done }) => (done === undefined ? [] : [done.run]));
  const begun = () => new Set(readBeginnings(wish_book).map(({ run }) => run));
  await until('every wish to begin', () => promised.every(run => begun().has(run)), rest_ms_max).catch(() =>
    say('some wishes did not begin'),
  );

  const witness = await someLeader(field, rest_ms_max);
  const kept = await runsOf(witness.api, `${wish_job.role}/${wish_job.environment}/${wish_job.name}`);
  const calls = judge(
    wishes,
    readBeginnings(wish_book),
    kept.map(({ run }) => run),
  );
  const books = new Map<string, Awaited<ReturnType<typeof outcomesOf>>>();
  for (const { key } of jobs) books.set(key, await outcomesOf(witness.api, key));
  const found = marks();
  const longest_ms = Math.max(0, ...events.map(({ from_ms: from, to_ms: to }) => to - from)) + rest_ms_max;
  const verdict = check(jobs, found, books, longest_ms);
  const reigns = reignsIn(field);
  const shifts = failovers(reigns, events, found, stalls);
  let report = reportOf(options, directory, session_ms, {
    verdict,
    calls,
    found,
    events,
    skipped,
    broken,
    shifts,
    stalls,
  });
  if (options.picture !== undefined) {
    const title = `${lineOf(report)}`;
    const to_ms = Math.max(from_ms + lasting_ms, ...found.map(({ at_ms }) => at_ms));
    const scene = { title, targets: verdict.targets, events, reigns, failovers: shifts, stalls, from_ms, to_ms };
    writeFileSync(options.picture, picture(scene));
    report = { ...report, picture: options.picture };
  }
  keepWords(field, directory, report, { events, shifts, stalls });
  await killUnder(directory);
  // What took too long is looked into as well.
  if (report.complaints.length === 0 && report.first_launch.over_bound === 0)
    rmSync(directory, { recursive: true, maxRetries: 5 });
  return report;
}

type Facts = {
  readonly verdict: Verdict;
  readonly calls: Calls;
  readonly found: readonly Mark[];
  readonly events: readonly Event[];
  readonly skipped: readonly string[];
  readonly broken: string | undefined;
  readonly shifts: readonly Failover[];
  readonly stalls: readonly Stall[];
};

function reportOf(
  { minutes, seed }: ChaosOptions,
  directory: string,
  session_ms: number,
  { verdict, calls, found, events, skipped, broken, shifts, stalls }: Facts,
): Report {
  const { targets, complaints: found_wrong, ...counts } = verdict;
  const { complaints: broken_words, waits_ms, ...writes } = calls;
  const complaints = [...found_wrong, ...broken_words];
  if (broken !== undefined) complaints.push(`it could not go on: ${broken}`);
  const on_time = verdict.outcomes.ran ?? 0;
  if (events.length === 0 && stalls.length === 0 && on_time < targets.length)
    complaints.push(`nothing went wrong, and ${targets.length - on_time} targets are not told as ran`);
  const faults: Record<string, number> = {};
  for (const { fault } of events) faults[fault.kind] = (faults[fault.kind] ?? 0) + 1;
  const measure = (again: boolean) =>
    shifts.flatMap(({ stalled, struck_again, first_launch_ms }) =>
      stalled || struck_again !== again || first_launch_ms === undefined ? [] : [first_launch_ms],
    );
  const measured = measure(false);
  const resumed = (moment: (event: Event) => number | undefined) => resumptions(events.map(moment), found, stalls);
  const bound_ms = session_ms + bound_beyond_session_ms;
  return {
    seed,
    minutes,
    targets: targets.length,
    ...counts,
    failovers: shifts.length,
    unexplained: shifts.filter(({ since_ms, stalled }) => since_ms === undefined && !stalled).length,
    faults,
    skipped,
    session_timeout_ms: session_ms,
    first_launch: {
      ...spread(measured),
      over_bound: measured.filter(ms => ms > bound_ms).length,
      bound_ms,
    },
    struck_again: spread(measure(true)),
    after_zookeeper: spread(resumed(({ fault, back_ms }) => (fault.kind === 'kill-nodes' ? undefined : back_ms))),
    after_mesos: spread(resumed(({ mesos_back_ms }) => mesos_back_ms)),
    writes: { ...writes, waited: spread(waits_ms) },
    stalls: { count: stalls.length, ms: stalls.reduce((sum, { from_ms, to_ms }) => sum + to_ms - from_ms, 0) },
    load: Math.round(loadavg()[2]! * 10) / 10,
    complaints,
    directory,
  };
}

export function lineOf(report: Report): string {
  const { targets, ran, missed, lost, doubled, incomplete, first_launch, faults, writes, seed } = report;
  const count = Object.values(faults).reduce((sum, each) => sum + each, 0);
  const seconds = (ms: number | undefined) => (ms === undefined ? '-' : `${(ms / 1_000).toFixed(1)} s`);
  return (
    `chaos: ${report.minutes} min, ${targets} targets, ran ${ran}, missed ${missed}, lost ${lost}, doubled ${doubled}, ` +
    `incomplete ${incomplete}; ${writes.asked} writes, ${writes.lost} lost, ${writes.doubled} doubled; ` +
    `${count} faults, ${report.failovers} failovers, first launch p50 ` +
    `${seconds(first_launch.p50_ms)}, p99 ${seconds(first_launch.p99_ms)} (session ${seconds(report.session_timeout_ms)}, ` +
    `beyond ${seconds(first_launch.bound_ms)} ${first_launch.over_bound}; seed ${seed})`
  );
}

/** For whoever wonders why: what every node said in each of its lives, and what was done when. */
function keepWords(field: Field, directory: string, report: Report, facts: object): void {
  for (const { id, said } of field.nodes)
    for (const [n, lines] of said().entries())
      writeFileSync(join(directory, `${id}-life-${n + 1}.log`), lines.join('\n'));
  writeFileSync(join(directory, 'report.json'), JSON.stringify({ report, ...facts }, undefined, 1));
}

/** Notes when this program was not let run: then nothing else on this machine was either, or might have been. */
function watchMachine(t: Owner): readonly Stall[] {
  const stalls: Stall[] = [];
  let last_ms = Date.now();
  const timer = setInterval(() => {
    const now_ms = Date.now();
    if (now_ms - last_ms > stall_ms_min) stalls.push({ from_ms: last_ms, to_ms: now_ms });
    last_ms = now_ms;
  }, heartbeat_ms);
  t.teardown(() => clearInterval(timer));
  return stalls;
}
