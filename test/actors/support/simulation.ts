// simulation.ts: a week in the life of a scheduler, in seconds: people, crashes, lost machines and clocks, all from a seed.
//
// The world is the one of support/world.ts: the real scheduler on the seeded runtime, the one master of mesos/local/, agents
// on which nothing runs. What must hold is written here apart from the scheduler: which targets there were is computed from
// the job records alone, and what runs is what the agents say.

import type { CalendarCommand, Command } from '../../../actors/model/commands.ts';
import { parseTaskId, taskId } from '../../../actors/model/ids.ts';
import { type Job, keyOf } from '../../../actors/model/job.ts';
import type {
  CalendarRecord,
  FinishedAttempt,
  FinishedRun,
  InstanceRecord,
  JobRecord,
  OutcomeRow,
  RunRecord,
  TriggerRecord,
} from '../../../actors/model/records.ts';
import { calendarNames } from '../../../actors/model/schedules.ts';
import { seededRandom } from '../../../actors/runtime/seeded.ts';
import { specOf } from '../../../actors/trigger/trigger.ts';
import { lifeOfCommand } from '../../../mesos/local/index.ts';
import { compile, type Schedule, targetsBetween } from '../../../schedules/schedule.ts';
import { job, type World, world } from '../../support/world.ts';

export type Report = {
  readonly seed: number;
  /** What was wrong; empty when everything held. */
  readonly violations: readonly string[];
  readonly targets: number;
  readonly launches: number;
  readonly crashes: number;
  /** Attempts that took too long, and those whose end somebody reported. */
  readonly timed_out: number;
  readonly called_back: number;
};

/** One definition of one schedule, for as long as it held. */
type Definition = {
  readonly key: string;
  readonly id: string;
  readonly text: string;
  readonly document: Job['schedules'][number];
  readonly since: number;
  /** What it meant, from one instant (exclusive) to the next: the calendars that it names may change. */
  readonly meanings: { readonly after: number; readonly schedule: Schedule }[];
  /** Targets up to `until` are owed an outcome; between that and `gone`, one is allowed. */
  until?: number;
  gone?: number;
};

const minute = 60_000;
const start = Date.UTC(2026, 0, 1, 0, 0, 20, 137);
const agents = 4;
const policies = ['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'kill-other', 'allow'] as const;
const catch_ups = ['none', 'last', 'all', 'first'] as const;
const names_of_calendars = ['feasts', 'repairs'] as const;
const kinds = ['job', 'trigger', 'run', 'instance', 'tally'] as const;

export async function simulate(seed: number, steps = 80): Promise<Report> {
  const random = seededRandom(seed ^ 0xda7);
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
  let begun: World | undefined;
  const life = (task: Parameters<typeof lifeOfCommand>[0]) => {
    launching(task.task_id.value);
    return lifeOfCommand(task);
  };
  // Sometimes a world that is too small for all that is wanted.
  const instances_max = pick([100_000, 100_000, 12]);
  const batch_changes_max = pick([1, 7, 1_000]);
  const w = await world({ seed, start, agents, life, batch_changes_max, settings: { instances_max } });
  begun = w;
  const violations: string[] = [];
  const wrong = (what: string) =>
    violations.push(`${new Date(w.clock.now()).toISOString()} after "${last_act}": ${what}`);
  let last_act = 'nothing';
  let crashes = 0;
  const away = new Map<string, number>();
  const definitions: Definition[] = [];
  const known = new Map<string, { record: JobRecord; of: Definition[] }>();
  const unanswered = new Map<string, string>();
  const killed: { run: string; launched: ReadonlySet<string> }[] = [];
  /** Runs by hand that somebody was told of: `KEY RUN`. */
  const promised = new Set<string>();
  const calendars = new Map<string, CalendarRecord>();
  let names = 0;
  let followed = 0;

  // --- what the records say there should be ----------------------------------------------------------------------

  const compiled = (key: string, document: Job['schedules'][number], made_at: number): Schedule => {
    const days = Object.fromEntries([...calendars].map(([name, { rules }]) => [name, rules]));
    const spec = specOf(document);
    const read = compile(spec, { now: made_at, default_zone: 'UTC', job_key: key, place: '', calendars: days });
    if (!read.ok) throw new Error(read.problems[0]!.message);
    return read.value;
  };
  /** Follows the job records: which schedules hold since when, and until when they did. */
  const follow = () => {
    for (; followed < w.committed.length; followed++) {
      const { kind, key, body } = w.committed[followed]!;
      if (kind === 'job') heard(key, body as JobRecord | undefined);
      if (kind === 'calendar') redated(key, body as CalendarRecord | undefined);
    }
    // What a crash left on the device was committed by nobody.
    const living = new Map(w.outbox.entries('job'));
    for (const key of [...known.keys()]) if (!living.has(key)) heard(key, undefined);
    for (const [name, body] of w.outbox.entries('calendar')) redated(name, body as CalendarRecord);
    for (const [key, body] of living) heard(key, body as JobRecord);
  };
  /** A calendar has other days: up to that moment its users meant the old ones. */
  const redated = (name: string, record: CalendarRecord | undefined) => {
    const before = calendars.get(name);
    if (record === undefined) calendars.delete(name);
    else calendars.set(name, record);
    if (record === undefined || before === undefined || record.version === before.version) return;
    for (const { record: jobs, of } of known.values()) {
      if (!calendarNames(jobs.job).includes(name)) continue;
      for (const { key, document, since, meanings, until } of of)
        if (until === undefined) meanings.push({ after: record.updated_at, schedule: compiled(key, document, since) });
    }
  };
  const heard = (key: string, record: JobRecord | undefined) => {
    const before = known.get(key);
    if (record === undefined) {
      if (before !== undefined) {
        const { deleting, updated_at } = before.record;
        end(before.of, deleting === true ? updated_at : w.clock.now(), w.clock.now());
      }
      known.delete(key);
      return;
    }
    const same_life = before !== undefined && before.record.incarnation === record.incarnation;
    if (before !== undefined && !same_life) end(before.of, w.clock.now(), w.clock.now());
    if (same_life && before.record.version === record.version && before.record.deleting === record.deleting) return;
    const since = record.version === 1 ? record.created_at : record.updated_at;
    const old = same_life ? before.of : [];
    if (record.deleting === true) {
      end(old, record.updated_at, undefined);
      known.set(key, { record, of: old });
      return;
    }
    const of = record.job.schedules.map((document): Definition => {
      const text = JSON.stringify(specOf(document));
      const stays = old.find(one => one.id === document.id && one.text === text);
      if (stays !== undefined) return stays;
      const meanings = [{ after: since - 1, schedule: compiled(key, document, since) }];
      const made: Definition = { key, id: document.id, text, since, document, meanings };
      definitions.push(made);
      return made;
    });
    const ended = old.filter(one => !of.includes(one));
    for (const one of ended) end([one], since, since);
    known.set(key, { record, of });
  };
  const end = (of: readonly Definition[], until: number, gone: number | undefined) => {
    for (const one of of) {
      one.until ??= until;
      if (gone !== undefined) one.gone ??= gone;
    }
  };

  // --- what must hold at every moment ------------------------------------------------------------------------------

  /** Nothing reaches an agent that the records do not hold: assigned, or on its way out in the moment between. */
  const launching = (task_id: string) => {
    const key = parseTaskId(task_id)?.instance;
    const at = begun?.outbox.latest('instance', key ?? '') as InstanceRecord | undefined;
    if (at?.status !== 'assigned' && at?.status !== 'killing') wrong(`${task_id} is launched, but it is ${at?.status}`);
    else if (!task_id.endsWith(`:${at.attempt}`)) wrong(`${task_id} is launched, but it is attempt ${at.attempt}`);
  };
  const check = () => {
    for (const id of w.launched) if (w.mesos.agents.launches(id) > 1) wrong(`${id} was launched twice`);
    const alive = new Map<string, string>();
    for (const [id, agent] of w.mesos.host.master.agents) {
      // A machine that was away may bring back what has been replaced meanwhile, until its kill arrives.
      if ((away.get(id) ?? Number.NEGATIVE_INFINITY) > w.clock.now() - 10 * minute) continue;
      for (const task of agent.tasks.values()) {
        if (task.ended) continue;
        const task_id = task.id;
        const instance = task_id.slice(0, task_id.lastIndexOf(':'));
        const other = alive.get(instance);
        if (other !== undefined) wrong(`${other} and ${task_id} live side by side`);
        alive.set(instance, task_id);
      }
    }
    for (const one of w.fatal) wrong(`the process ended: ${one.reason} ${one.error ?? ''}`);
    for (const line of w.complaints.splice(0))
      if (line.includes('crashed') || line.includes('put aside')) wrong(line.slice(0, 600));
    // A submission may have to wait for the last job of that name to go.
    for (const command of unanswered.values()) if (!command.includes('"create"')) wrong(`no answer to ${command}`);
    for (const { run, launched } of killed)
      for (const id of w.launched)
        if (id.startsWith(`${run}:`) && !launched.has(id)) wrong(`${id} after its run was killed`);
    const there = [...w.outbox.entries('run')].reduce((sum, [, body]) => sum + (body as RunRecord).instances, 0);
    if (there > instances_max) wrong(`there are ${there} instances: expected at most ${instances_max}`);
    w.fatal.length = 0;
    late();
    stuck();
  };
  /** Nobody is waited for beyond his time, whoever led when it passed. */
  const late = () => {
    const away_now = [...away.values()].includes(Number.POSITIVE_INFINITY);
    for (const [key, body] of w.outbox.entries('instance')) {
      const at = body as InstanceRecord;
      const run = w.outbox.latest('run', key.slice(0, key.lastIndexOf('/'))) as RunRecord | undefined;
      const { timeouts } = run?.job ?? known.get(jobOf(key))?.record.job ?? {};
      const over = (from: number, limit_ms: number | undefined) =>
        limit_ms !== undefined && w.clock.now() > from + limit_ms + minute;
      if (at.status === 'awaiting' && over(at.since, timeouts?.call_back_ms))
        wrong(`${key} awaits its call-back still`);
      // Who is behind a partition is told to go, and goes when Mesos says so.
      if (away_now || run === undefined || at.status === 'over' || at.status === 'killing') continue;
      if (over(run.created_at, timeouts?.total_ms)) wrong(`${key} of a run that is out of time is ${at.status}`);
      if (at.status === 'running' && over(at.started_at!, timeouts?.run_ms)) wrong(`${key} runs longer than it may`);
    }
  };
  /** Whoever waits, waits for somebody. */
  const stuck = () => {
    const active = new Set([...w.outbox.entries('run')].map(([key]) => key.slice(0, key.lastIndexOf('/'))));
    for (const [key, body] of w.outbox.entries('trigger')) {
      const { waiting, backfills = [] } = body as TriggerRecord;
      if (active.has(key) || known.get(key)?.record.deleting === true) continue;
      for (const { run } of waiting) wrong(`${run} of ${key} waits, and nothing of that job is active`);
      for (const { id, over_at } of backfills)
        if (over_at === undefined) wrong(`backfill ${id} of ${key} rests, and nothing of that job is active`);
    }
  };

  // --- what people and fate do ------------------------------------------------------------------------------------

  /** Spans that begin some time from now, or lately, and sometimes a whole day. */
  const rules = () =>
    Array.from({ length: 1 + below(2) }, () => {
      const from = Math.floor(w.clock.now() / minute) * minute + (below(40) - 10) * minute;
      const text = (at: number) => new Date(at).toISOString().slice(0, 16);
      if (below(6) === 0) return { date: text(from).slice(0, 10) };
      return { from: text(from), to: text(from + (1 + below(15)) * minute) };
    });
  const days = () => {
    if (below(3) > 0) return {};
    return { calendar: { exclude: below(3) === 0 ? rules() : [pick(names_of_calendars)] } };
  };
  /** Some are tried again otherwise than others, may take only so long, or end when somebody says so. */
  const patience = () => ({
    ...(below(2) === 0
      ? {}
      : {
          retry: {
            delay_ms: pick([0, 20_000]),
            factor: pick([1, 3]),
            jitter: pick([0, 1]),
            ...(below(3) > 0 ? {} : { exit_codes: [3] }),
          },
        }),
    ...(below(2) === 0
      ? {}
      : {
          timeouts: pick([
            { run_ms: 15_000 },
            { start_ms: 10_000 },
            { total_ms: 50_000 },
            { run_ms: 500, total_ms: 9_000 },
          ]),
        }),
    ...(below(3) > 0
      ? {}
      : { async: true, timeouts: { call_back_ms: pick([60_000, 10 * minute]), total_ms: 30 * minute } }),
  });
  const submission = (name: string, service: boolean) => {
    const schedules = Array.from({ length: service || below(5) === 0 ? 0 : 1 + below(2) }, (_, n) => ({
      id: `s${n}`,
      ...days(),
      ...pick([
        { cron: '* * * * *' },
        { cron: '*/5 * * * *' },
        { cron: '*/2 * * * *', zone: 'Europe/Vienna' },
        { iso8601: 'R/2026-01-01T00:00:30Z/PT45S' },
        { iso8601: 'R5/2026-01-01T00:10:00Z/PT3M' },
        { iso8601: 'R0/2026-01-01T00:10:00Z/PT3M' },
        { iso8601: 'R//PT2M' },
      ]),
    }));
    const seconds = pick([0, 1, 20, 100]);
    return job({
      role: 'www',
      environment: 'prod',
      name,
      command: service && below(2) === 0 ? 'sleep infinity' : `sleep ${seconds}; exit ${pick([0, 0, 0, 3])}`,
      instances: 1 + below(3),
      cpus: pick([0.1, 0.5, 1.5]),
      ...(service ? { service } : { schedules, retries: below(3), enabled: below(6) > 0, ...patience() }),
      overlap: { policy: pick(policies), ...(below(2) === 0 ? {} : { max: 1 + below(3) }) },
      catch_up: { policy: pick(catch_ups), ...(below(2) === 0 ? {} : { window_ms: 10 * minute }) },
    });
  };
  const keys = () => [...known].filter(([, one]) => one.record.deleting !== true).map(([key]) => key);
  const submit = (command: Command | CalendarCommand) => {
    const request_id = `a${names++}`;
    unanswered.set(request_id, JSON.stringify(command));
    void w.scheduler.submit({ command, principal: { name: 'tester' }, request_id }).then(answer => {
      unanswered.delete(request_id);
      if (answer.type === 'started' || answer.type === 'waiting') promised.add(`${answer.key} ${answer.run}`);
    });
  };
  const ask = async (command: Command | CalendarCommand) => {
    submit(command);
    // Sometimes somebody else wants something in the same moment.
    const key = 'key' in command ? command.key : command.type === 'submit' ? keyOf(command.job) : pick(keys());
    while (key !== undefined && below(4) === 0) {
      await w.some(below(40));
      submit(
        pick<Command>([
          { type: 'delete', key },
          { type: 'kill-all', key },
          { type: 'kill-all', key },
          { type: 'start-run', key, request: `r${below(20)}` },
          { type: 'set-enabled', key, enabled: below(2) === 0 },
          { type: 'pause', key, note: 'for a while' },
          { type: 'resume', key },
          backfill(key),
        ]),
      );
      last_act += ', and somebody else';
    }
    // Sometimes the process dies while it is thinking.
    if (below(8) > 0) return await w.settle();
    last_act += ', and a crash in the middle of it';
    await w.some(below(60));
    await crash();
  };
  const backfill = (key: string): Command => {
    const to = w.clock.now() - below(3) * minute;
    return {
      type: 'backfill',
      key,
      from: to - below(12) * minute,
      to,
      overlap: { policy: pick(policies), ...(below(2) === 0 ? {} : { max: 1 + below(3) }) },
      limit: 1 + below(20),
      request: `b${below(30)}`,
    };
  };
  const crash = async () => {
    crashes += 1;
    unanswered.clear(); // Whoever asked saw the connection break.
    const { journal } = w;
    // What was on its way to the device may have arrived or not.
    await w.crash(journal.durable() + below(journal.written() - journal.durable() + 1));
  };
  const acts: Record<string, () => Promise<void>> = {
    async create() {
      if (known.size >= 12) return;
      const name = below(3) === 0 ? `job-${below(4)}` : `new-${names++}`;
      await ask({ type: 'submit', mode: 'create', job: submission(name, below(4) === 0) });
    },
    async replace() {
      const key = pick(keys());
      const before = known.get(key)!.record.job;
      const after = submission(before.name, before.service);
      const next = below(2) === 0 ? after : { ...before, instances: after.instances, cpus: after.cpus };
      await ask({ type: 'submit', mode: 'replace', job: next });
    },
    /** Services grow and shrink, often before the last change is done. */
    async resize() {
      const services = keys().filter(key => known.get(key)!.record.job.service);
      if (services.length === 0) return;
      const before = known.get(pick(services))!.record.job;
      for (let n = below(3); n >= 0; n--) {
        await ask({ type: 'submit', mode: 'replace', job: { ...before, instances: 1 + below(4) } });
        if (below(2) === 0) await w.until(w.clock.now() + pick([1_000, 31_000]));
      }
    },
    enable: async () => await ask({ type: 'set-enabled', key: pick(keys()), enabled: below(2) === 0 }),
    remove: async () => await ask({ type: 'delete', key: pick(keys()) }),
    begin: async () => await ask({ type: 'start-run', key: pick(keys()), request: `q${below(20)}` }),
    pause: async () => await ask({ type: 'pause', key: pick(keys()), note: 'for a while' }),
    resume: async () => await ask({ type: 'resume', key: pick(keys()) }),
    backfill: async () => await ask(backfill(pick(keys()))),
    calendar: async () =>
      await ask({ type: 'put-calendar', name: pick(names_of_calendars), calendar: { rules: rules() } }),
    /** A machine that slept wakes up, a calendar changes, and the process dies before everybody has heard of it. */
    async feast() {
      w.clock.step(w.clock.now() + pick([90_000, 5 * minute]));
      submit({ type: 'put-calendar', name: pick(names_of_calendars), calendar: { rules: rules() } });
      await w.some(below(60));
      await crash();
    },
    forget: async () => await ask({ type: 'delete-calendar', name: pick(names_of_calendars) }),
    /** Takes back a start that waits. */
    async withdraw() {
      const waiting = [...w.outbox.entries('trigger')].flatMap(([key, body]) =>
        (body as TriggerRecord).waiting.map(({ run }) => ({ key, run })),
      );
      const one = pick(waiting);
      if (one === undefined) return;
      const launched = new Set(w.launched);
      const answer = await w.submit({ type: 'kill-run', ...one });
      if (answer.type === 'killing') killed.push({ run: `${one.key}/${one.run}`.replaceAll('/', ':'), launched });
    },
    async kill() {
      const [key, body] = pick([...w.outbox.entries('run')]) ?? [];
      if (key === undefined) return;
      const { run } = body as RunRecord;
      const of = key.slice(0, key.lastIndexOf('/'));
      const answer = await w.submit({ type: 'kill-run', key: of, run });
      if (answer.type === 'killing') killed.push({ run: key.replaceAll('/', ':'), launched: new Set(w.launched) });
    },
    /** Word of async tasks: well or not, early or late, of this attempt or another one. */
    async report() {
      for (const [instance, body] of w.outbox.entries('instance')) {
        const { attempt } = body as InstanceRecord;
        const task_id = taskId(instance, pick([attempt, attempt, attempt, attempt + 1, Math.max(1, attempt - 1)]));
        if (below(4) > 0)
          submit({ type: 'complete-task', key: jobOf(instance), task_id, status_code: pick([0, 0, 7]) });
      }
      if (below(5) === 0) await crash();
      else await w.settle();
    },
    crash,
    /** The process is down for a while: nobody hears of the time that passes. */
    async absence() {
      w.clock.step(w.clock.now() + pick([30_000, 5 * minute, 40 * minute]));
      await crash();
    },
    async lose() {
      const id = pick(w.mesos.agents.ids);
      if (away.has(id)) return;
      away.set(id, Number.POSITIVE_INFINITY);
      w.mesos.agents.lose(id, { reboot: below(3) === 0 });
    },
    async restore() {
      const id = [...away].find(([, until]) => until === Number.POSITIVE_INFINITY)?.[0];
      if (id === undefined) return;
      w.mesos.agents.restore(id);
      away.set(id, w.clock.now());
    },
    cut: async () => w.link.cut(),
    /** An operator sets the clock; the scheduler looks at it at least once a minute. */
    step: async () => w.clock.step(w.clock.now() + pick([90_000, 10 * minute])),
  };
  const needs_jobs = new Set(['replace', 'enable', 'remove', 'begin', 'pause', 'resume', 'backfill']);
  const fates = [
    ...['create', 'create', 'create', 'create', 'replace', 'resize', 'enable', 'remove', 'begin', 'begin', 'kill'],
    ...[
      'report',
      'report',
      'pause',
      'resume',
      'resume',
      'backfill',
      'backfill',
      'calendar',
      'calendar',
      'forget',
      'withdraw',
    ],
  ];
  const rare = ['crash', 'crash', 'absence', 'lose', 'restore', 'restore', 'cut', 'step', 'feast', 'feast'];
  for (let n = 0; n < steps && violations.length === 0; n++) {
    const act = below(10) < 7 ? pick(fates) : pick(rare);
    if (needs_jobs.has(act) && keys().length === 0) continue;
    last_act = act;
    await acts[act]!();
    if (below(4) > 0) await w.settle();
    follow();
    await w.until(w.clock.now() + pick([1_000, 7_000, 31_000, 95_000]));
    follow();
    check();
  }

  const ends = () => {
    const codes = history<FinishedAttempt>(w, 'finished-attempt').map(([, { reason }]) => reason.code);
    const count = (code: string) => codes.filter(one => one === code).length;
    return { timed_out: count('timed-out'), called_back: count('called-back') };
  };

  // --- the end: everything is deleted, and everything is told -----------------------------------------------------

  for (const [id, until] of away) if (until === Number.POSITIVE_INFINITY) w.mesos.agents.restore(id);
  await w.until(w.clock.now() + 2 * minute);
  follow();
  for (const key of keys()) {
    last_act = `delete ${key}`;
    const { type } = await w.submit({ type: 'delete', key });
    if (type !== 'deleted' && violations.length === 0) wrong(`the answer was ${type}`);
    follow();
  }
  last_act = 'the end';
  await w.until(w.clock.now() + 90 * minute);
  follow();
  check();
  if (violations.length > 0) return { seed, violations, targets: 0, launches: w.launched.size, crashes, ...ends() };
  for (const kind of kinds)
    for (const [key, body] of w.outbox.entries(kind)) wrong(`${kind} ${key} was left behind: ${JSON.stringify(body)}`);
  for (const command of unanswered.values()) wrong(`no answer to ${command}`);
  if (w.mesos.agents.running() > 0) wrong(`${w.mesos.agents.running()} tasks still run`);
  const { instances, jobs, triggers, restarts, commands } = w.scheduler.counts();
  if (instances + jobs + triggers + restarts + commands > 0) wrong(`left: ${JSON.stringify(w.scheduler.counts())}`);
  if (w.scheduler.waiting() > 0) wrong(`${w.scheduler.waiting()} instances wait for a place`);

  // What a backfill makes of a target stands beside what became of it when it was due.
  const all_rows = history<OutcomeRow>(w, 'outcome');
  const rows = all_rows.filter(([, row]) => row.backfill === undefined);
  const finished = new Set(history<FinishedRun>(w, 'finished-run').map(([key, one]) => `${jobOf(key)} ${one.run}`));
  for (const [key, attempt] of history<FinishedAttempt>(w, 'finished-attempt'))
    if (attempt.reason.code === 'invalid') wrong(`${key} was refused by Mesos: ${JSON.stringify(attempt.reason)}`);
  for (const [key, row] of all_rows)
    if (row.run !== undefined && !finished.has(`${jobOf(key)} ${row.run}`))
      wrong(`run ${row.run} of ${key} never ended`);
  for (const one of promised) if (!finished.has(one)) wrong(`${one} was promised, and nothing is told of it`);
  const twice = w.committed.filter(one => one.kind === 'outcome').map(one => one.key);
  if (new Set(twice).size !== twice.length) wrong(`told twice: ${twice.find((key, n) => twice.indexOf(key) !== n)}`);

  let targets = 0;
  const told = new Map<string, number>();
  for (const one of definitions) {
    const { key, id, meanings, until, gone } = one;
    if (until === undefined)
      throw new Error(`the definition ${key} ${id} never ended: expected all jobs to be deleted`);
    const owed = meanings.flatMap(({ after, schedule }, n) =>
      targetsBetween(schedule, after, Math.min(until, meanings[n + 1]?.after ?? until), 1_000_000),
    );
    const allowed = targetsBetween(meanings.at(-1)!.schedule, until, gone ?? until, 1_000_000);
    targets += owed.length;
    const mine = rows.filter(([row_key, row]) => jobOf(row_key) === key && row.schedule === id);
    for (const target of [...owed, ...allowed]) {
      const times = mine.filter(([, row]) => row.from <= target && target <= row.to).length;
      const name = `${key} ${id} ${new Date(target).toISOString()}`;
      told.set(name, times);
      if (times > 1 || (times === 0 && target <= until)) wrong(`${name} has ${times} outcomes`);
    }
  }
  const counted = rows.reduce((sum, [, row]) => sum + row.count, 0);
  const covered = [...told.values()].filter(times => times > 0).length;
  if (counted !== covered) wrong(`the outcomes count ${counted} targets: expected ${covered}`);
  return { seed, violations, targets, launches: w.launched.size, crashes, ...ends() };
}

const jobOf = (history_key: string) => history_key.split('/').slice(0, 3).join('/');

function history<T>(w: World, kind: 'outcome' | 'finished-run' | 'finished-attempt'): (readonly [string, T])[] {
  return w.journal.page(kind, '', Number.MAX_SAFE_INTEGER).rows.map(row => [row.key, row.body as T]);
}
