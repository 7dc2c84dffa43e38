// verdict.ts: whether the scheduler kept its word: what it says became of everything, against what the tasks wrote.
//
// Pure: facts in, complaints out. Two witnesses that know nothing of each other are compared, the API and the ledger, and
// each must account for the other: nothing that ran is unknown, nothing that is said to have run did not.

import {
  type InstanceKey,
  instanceKey,
  type JobKey,
  type RunId,
  type TaskId,
  taskId,
} from '../../../actors/model/ids.ts';
import type { InstanceAnswer, JobAnswer, OutcomeAnswer, RunAnswer } from '../horae.ts';
import type { Sort } from './jobs.ts';
import type { Line } from './ledger.ts';

export type Complaint = { readonly kind: 'lost' | 'doubled' | 'untrue' | 'stray'; readonly text: string };
export type Facts = {
  /** What was acknowledged: every job that must be there, with its sort and the generation last accepted. */
  readonly jobs: ReadonlyMap<JobKey, { readonly sort: Sort; readonly generation: string }>;
  /** Runs by hand that were acknowledged. */
  readonly wishes: readonly { readonly key: JobKey; readonly run: RunId; readonly wish: string }[];
  /** Jobs and runs as the API tells them; runs and outcomes also of jobs that are gone. */
  readonly told: ReadonlyMap<JobKey, JobAnswer>;
  readonly runs: ReadonlyMap<JobKey, readonly RunAnswer[]>;
  readonly outcomes: ReadonlyMap<JobKey, readonly OutcomeAnswer[]>;
  readonly lines: readonly Line[];
  /** Tasks that have processes now. */
  readonly alive: ReadonlySet<TaskId>;
  /** Tasks that had started and not ended when the program was killed. */
  readonly across: ReadonlySet<TaskId>;
  /** Tasks whose wrapper was killed on purpose. */
  readonly victims: ReadonlySet<TaskId>;
  /** Tasks that were killed with everything else: how they ended may be known or not. */
  readonly doubtful: ReadonlySet<TaskId>;
  /** Targets up to this instant must have their outcome. */
  readonly until: number;
};
export type Verdict = {
  readonly complaints: readonly Complaint[];
  readonly runs: number;
  readonly targets: number;
  /** Tasks that a later life of the program took over and told the truth about. */
  readonly adopted: number;
};

export function judge(facts: Facts): Verdict {
  const complaints: Complaint[] = [];
  const complain = (kind: Complaint['kind'], text: string) => void complaints.push({ kind, text });
  const attempts = attemptsOf(facts.lines, complain);
  jobsThere(facts, complain);
  everyStartIsKnown(facts, attempts, complain);
  let runs = 0;
  for (const [key, known] of facts.runs)
    for (const run of known) {
      runs++;
      runIsTrue(facts, key, run, attempts, complain);
    }
  noneAtOnce(facts.lines, attempts, complain);
  const targets = targetsHaveOneOutcome(facts, complain);
  copiesLive(facts, complain);
  for (const { key, run, wish } of facts.wishes)
    if (facts.runs.get(key)?.filter(each => each.run === run).length !== 1)
      complain('lost', `${key}: run ${run} was promised to ${wish}: expected it among the runs, once`);
  const adopted = [...facts.across].filter(
    task => !facts.doubtful.has(task) && isSettled(facts, attempts, task),
  ).length;
  return { complaints, runs, targets, adopted };
}

type Complain = (kind: Complaint['kind'], text: string) => void;
type Starts = Extract<Line, { verb: 'start' }>;
type Ends = Extract<Line, { verb: 'end' }>;
type Attempt = { readonly start: Starts; readonly end: Ends | undefined };

/** What each task wrote of itself. A task that starts twice is the one thing that must never be. */
function attemptsOf(lines: readonly Line[], complain: Complain): ReadonlyMap<TaskId, Attempt> {
  const attempts = new Map<TaskId, Attempt>();
  for (const line of lines) {
    const known = attempts.get(line.task);
    if (line.verb === 'start') {
      if (known !== undefined) complain('doubled', `${line.task} started twice`);
      attempts.set(line.task, { start: line, end: undefined });
    } else if (line.verb === 'end') {
      if (known === undefined) complain('stray', `${line.task} ended and never started`);
      else if (known.end !== undefined) complain('doubled', `${line.task} ended twice`);
      else attempts.set(line.task, { ...known, end: line });
    } else complain('doubled', `${line.task} ran beside another copy of its instance or its job`);
  }
  return attempts;
}

function jobsThere({ jobs, told }: Facts, complain: Complain): void {
  for (const [key, { generation }] of jobs) {
    const job = told.get(key);
    if (job === undefined) complain('lost', `${key} was acknowledged and is not there`);
    else if (job.job.env?.GENERATION !== generation)
      complain(
        'lost',
        `${key} is of generation ${job.job.env?.GENERATION}: expected ${generation}, which was acknowledged`,
      );
    if (job?.quarantined !== undefined) complain('stray', `${key} was put aside: ${job.quarantined}`);
  }
  for (const key of told.keys()) if (!jobs.has(key)) complain('stray', `${key} was deleted and is there`);
}

/** Whatever wrote that it started is an attempt of a run that the API knows. */
function everyStartIsKnown({ runs }: Facts, attempts: ReadonlyMap<TaskId, Attempt>, complain: Complain): void {
  const known = new Map<string, InstanceAnswer>();
  for (const [key, rows] of runs)
    for (const run of rows) for (const each of run.instances) known.set(instanceKey(key, run.run, each.index), each);
  for (const { start } of attempts.values()) {
    const instance = known.get(start.instance);
    if (instance === undefined) complain('lost', `${start.task} ran, and the API knows no such instance`);
    else if (start.attempt > instance.attempt)
      complain('lost', `${start.task} ran, and the API knows of ${instance.attempt} attempts`);
  }
}

/** What the API says of a run that is over is what its tasks wrote. */
function runIsTrue(
  facts: Facts,
  key: JobKey,
  run: RunAnswer,
  attempts: ReadonlyMap<TaskId, Attempt>,
  complain: Complain,
): void {
  const service = run.cause.type === 'service';
  const killed = run.killed_by !== undefined;
  for (const instance of run.instances) {
    const name = instanceKey(key, run.run, instance.index);
    const of = (attempt: number) => attempts.get(taskId(name, attempt));
    const last = of(instance.attempt);
    if (run.cause.at !== undefined && last !== undefined && last.start.scheduled_at !== run.cause.at)
      complain('untrue', `${name} was told that it is for ${last.start.scheduled_at}: expected ${run.cause.at}`);
    if (!['succeeded', 'failed', 'killed'].includes(instance.state)) {
      if (!service) complain('lost', `${name} is still ${instance.state}`);
      continue;
    }
    const said = `${name} attempt ${instance.attempt} is said to have ${instance.state} (${JSON.stringify(instance.reason)})`;
    const victim = facts.victims.has(taskId(name, instance.attempt));
    const doubtful = facts.doubtful.has(taskId(name, instance.attempt));
    switch (instance.reason?.code) {
      case 'exited':
        if (last?.end?.exit_code !== instance.reason.exit_code || victim)
          complain('untrue', `${said}: it wrote ${last === undefined ? 'nothing' : (last.end?.exit_code ?? 'no end')}`);
        break;
      case 'signalled':
        if (last === undefined || last.end !== undefined) complain('untrue', `${said}: it wrote otherwise`);
        break;
      case 'killed':
        if (!killed) complain('untrue', `${said}: nobody asked for that`);
        break;
      case 'result-unknown':
        if (!victim && !doubtful) complain('lost', `${said}: its wrapper was left alone`);
        break;
      case 'launch-failed':
        if (!doubtful || last !== undefined) complain('lost', said);
        break;
      default:
        complain('lost', said);
    }
    if (service || doubtIn(facts, name, instance.attempt)) continue;
    // Earlier attempts: each failed, wrote so, and was counted.
    let failures = 0;
    for (let attempt = 1; attempt <= instance.attempt; attempt++) {
      const one = of(attempt);
      const known = one?.end !== undefined || facts.victims.has(taskId(name, attempt));
      if (attempt < instance.attempt && one !== undefined && !known)
        complain('untrue', `${one.start.task} was followed by another attempt and never wrote its end`);
      if (attempt < instance.attempt && one?.end?.exit_code === 0)
        complain('doubled', `${one.start.task} succeeded and was followed by another attempt`);
      if (one !== undefined && one.end?.exit_code !== 0) failures++;
    }
    if (!killed && failures !== instance.failures)
      complain('untrue', `${name} is said to have failed ${instance.failures} times: its tasks wrote ${failures}`);
  }
}

const doubtIn = ({ doubtful }: Facts, name: InstanceKey, attempts: number): boolean =>
  Array.from({ length: attempts }, (_, index) => taskId(name, index + 1)).some(task => doubtful.has(task));

/** Attempts of one instance follow one another. */
function noneAtOnce(lines: readonly Line[], attempts: ReadonlyMap<TaskId, Attempt>, complain: Complain): void {
  for (const line of lines) {
    if (line.verb !== 'start') continue;
    for (let before = line.attempt - 1; before > 0; before--) {
      const earlier = attempts.get(taskId(line.instance, before));
      if (earlier?.end !== undefined && earlier.end.at_ns > line.at_ns)
        complain('doubled', `${line.task} started before ${earlier.start.task} had ended`);
    }
  }
}

/** Returns how many targets were looked at. */
function targetsHaveOneOutcome(facts: Facts, complain: Complain): number {
  let seen = 0;
  for (const [key, { sort }] of facts.jobs) {
    const { period_ms, fates } = sort;
    const job = facts.told.get(key);
    if (period_ms === undefined || fates === undefined || job === undefined) continue;
    const created_at = Date.parse(job.created_at);
    const first = Math.ceil(created_at / period_ms) * period_ms;
    const count = new Map<number, number>();
    const known = new Set(facts.runs.get(key)?.map(({ run }) => run));
    for (const row of facts.outcomes.get(key) ?? []) {
      const from = Date.parse(row.from);
      const to = Date.parse(row.to);
      if (from < created_at) continue; // Of an earlier life of this key.
      const ran = row.outcome === 'ran' || row.outcome === 'caught-up';
      if (ran && (row.run === undefined || !known.has(row.run)))
        complain('lost', `${key} at ${row.from} is said to have ${row.outcome}: there is no run ${row.run}`);
      if (!ran && !fates.includes(`${row.outcome} ${row.why}`))
        complain('lost', `${key} at ${row.from} was ${row.outcome} (${row.why}): expected it to run`);
      if ((to - from) / period_ms + 1 !== row.count)
        complain('untrue', `${key}: ${row.count} outcomes from ${row.from} to ${row.to}`);
      for (let at = from; at <= to; at += period_ms) count.set(at, (count.get(at) ?? 0) + 1);
    }
    for (let at = first; at <= facts.until; at += period_ms) {
      seen++;
      if (!count.has(at)) complain('lost', `${key} has no outcome for ${new Date(at).toISOString()}`);
    }
    for (const [at, outcomes] of count) {
      if (outcomes > 1) complain('doubled', `${key} has ${outcomes} outcomes for ${new Date(at).toISOString()}`);
      if (at % period_ms !== 0)
        complain('untrue', `${key} has an outcome for ${new Date(at).toISOString()}, no target`);
    }
  }
  return seen;
}

/** What lives now is what should: each service its copies, of the generation that was accepted last, and nobody else. */
function copiesLive({ jobs, runs, lines, alive }: Facts, complain: Complain): void {
  const wanted = new Set<TaskId>();
  for (const [key, rows] of runs)
    for (const run of rows)
      if (run.cause.type === 'service' && jobs.has(key))
        for (const { index, attempt, state } of run.instances)
          if (state !== 'pending') wanted.add(taskId(instanceKey(key, run.run, index), attempt));
  for (const task of alive) if (!wanted.has(task)) complain('stray', `${task} lives, and nobody wants it`);
  const generations = new Map(lines.map(({ task, generation }) => [task, generation]));
  for (const [key, { sort, generation }] of jobs) {
    if (sort.copies === undefined) continue;
    const copies = [...alive].filter(task => task.startsWith(`${key.replaceAll('/', ':')}:`));
    if (copies.length !== sort.copies)
      complain('lost', `${key} has ${copies.length} live copies: expected ${sort.copies}`);
    for (const task of copies)
      if (generations.get(task) !== generation)
        complain('untrue', `${task} is of generation ${generations.get(task)}: expected ${generation}`);
  }
}

/** Whether the end of a task that lived through a crash is told, or it lives on. */
function isSettled({ alive }: Facts, attempts: ReadonlyMap<TaskId, Attempt>, task: TaskId): boolean {
  return alive.has(task) || attempts.get(task)?.end !== undefined;
}
