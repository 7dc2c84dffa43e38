// hour.ts: an hour of jobs that follow each other, with tasks that fail, agents that go away, and a failover or more.
//
// The world is the one of support/world.ts. When the hour is over nothing more begins by itself, what was begun ends, and
// the oracle is asked whether every child ran exactly as it should have.

import type { Command } from '../../actors/model/commands.ts';
import type { JobSubmission } from '../../actors/model/job.ts';
import type { FinishedRun, OutcomeRow } from '../../actors/model/records.ts';
import { seededRandom } from '../../actors/runtime/seeded.ts';
import { job, type World, world } from '../support/world.ts';
import { families, keyOf } from './families.ts';
import { judge, type Ran } from './oracle.ts';

export type Options = {
  readonly seed: number;
  readonly jobs: number;
  readonly minutes: number;
  readonly failovers?: number;
  /** Something that must be found. `lost`: tokens are not written down. `twice`: one is written down again. */
  readonly bug?: 'lost' | 'twice';
};
export type Report = {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly jobs: number;
  readonly in_families: number;
  /** Runs of children, as they should be and were. */
  readonly followed: number;
  readonly skipped: number;
  readonly runs: number;
  readonly failed: number;
  readonly crashes: number;
};

const start = Date.UTC(2026, 0, 1, 0, 0, 20, 137);
const minute = 60_000;

export async function simulate({ seed, jobs, minutes, failovers = 1, bug }: Options): Promise<Report> {
  const random = seededRandom(seed ^ 0x6ea4);
  const fate = seededRandom(seed ^ 0xfa7e);
  const agents = Math.max(4, Math.ceil(jobs / 100));
  const submissions = families(jobs, random);
  const w = await world({
    seed,
    start,
    agents,
    settings: { directory: { jobs_max: jobs + 1, held_max: 10 } },
    life: task => ({
      start_delay_ms: 10 + Math.floor(fate() * 500),
      duration_ms: Number(/sleep (\d+)/.exec(task.command?.value ?? '')?.[1] ?? 1) * (500 + Math.floor(fate() * 1_000)),
      exit: { code: fate() < 0.08 ? 1 : 0 },
      term_ms: 5,
    }),
  });
  const violations: string[] = [];
  /** So many at a time that none is turned away. */
  const ask = async (command: Command, of: string) => {
    void w.scheduler.submit({ command, principal: { name: 'people' }, request_id: `r${requests++}` }).then(answer => {
      if (answer.type === 'refused') violations.push(`${of}: ${JSON.stringify(answer)}`);
    });
    if (requests % 100 === 0) await w.settle();
  };
  let requests = 0;
  for (const one of submissions) await ask({ type: 'submit', mode: 'create', job: job(one) }, one.name);
  await w.settle();
  if (bug !== undefined) meddle(w, bug);

  const end = start + minutes * minute;
  const crashes = Array.from(
    { length: failovers },
    () => start + Math.floor((0.2 + 0.6 * random()) * minutes * minute),
  );
  const losses = Array.from({ length: Math.ceil(minutes / 10) }, () => start + Math.floor(random() * minutes * minute));
  const acts = [
    ...crashes.map(at => ({ at, act: () => failover(w, random) })),
    ...losses.map(at => ({
      at,
      act: async () => {
        const id = w.mesos.agents.ids[Math.floor(random() * w.mesos.agents.ids.length)]!;
        w.mesos.agents.lose(id);
        await w.until(w.clock.now() + 20_000);
        w.mesos.agents.restore(id);
      },
    })),
  ].sort((a, b) => a.at - b.at);
  for (const { at, act } of acts) {
    await w.until(Math.max(at, w.clock.now()));
    await act();
  }
  await w.until(Math.max(end, w.clock.now()));
  for (const one of submissions)
    if (one.cron !== undefined) await ask({ type: 'set-enabled', key: keyOf(one.name), enabled: false }, one.name);
  await w.settle();
  const give_up_at = w.clock.now() + 6 * 60 * minute;
  while ([...w.outbox.entries('run')].length > 0 && w.clock.now() < give_up_at) await w.until(w.clock.now() + minute);
  for (const { reason, error } of w.fatal) violations.push(`the process ended: ${reason} ${error ?? ''}`);
  for (const [key] of w.outbox.entries('run')) {
    const at = JSON.stringify(w.outbox.latest('instance', `${key}/0`));
    violations.push(`${key} never ended: ${at} ${w.scheduler.pending.why(`${key}/0`)?.summary ?? ''}`);
  }

  const all = history(w, submissions);
  const verdict = judge(submissions, all);
  const runs = submissions.flatMap(one => all.runs(keyOf(one.name)));
  return {
    seed,
    violations: [...violations, ...verdict.violations].slice(0, 20),
    jobs,
    in_families: submissions.filter(
      one => one.parents !== undefined || submissions.some(other => other.parents?.includes(one.name)),
    ).length,
    followed: verdict.expected,
    skipped: verdict.skipped,
    runs: runs.length,
    failed: runs.filter(one => one.outcome === 'failed').length,
    crashes: failovers,
  };
}

/** The leader dies in the middle of things, and the next one finds what was written. */
async function failover(w: World, random: () => number): Promise<void> {
  await w.some(Math.floor(random() * 200));
  await w.crash();
}

function history(w: World, jobs: readonly JobSubmission[]) {
  const runs = new Map<string, Ran[]>();
  const skipped = new Map<string, { run: string; why: string; at: number }[]>();
  for (const { name } of jobs) {
    const key = keyOf(name);
    const rows = w.journal.page('finished-run', `${key}/`, Number.MAX_SAFE_INTEGER).rows;
    runs.set(
      key,
      rows.map(row => row.body as FinishedRun as unknown as Ran).sort((a, b) => a.created_at - b.created_at),
    );
    const told = w.journal.page('outcome', `${key}/`, Number.MAX_SAFE_INTEGER).rows.map(row => row.body as OutcomeRow);
    skipped.set(
      key,
      told
        .filter(row => row.schedule === 'parents')
        .map(row => ({ run: row.run ?? '', why: row.why ?? '', at: row.to }))
        .sort((a, b) => a.at - b.at || a.run.length - b.run.length || (a.run < b.run ? -1 : 1)),
    );
  }
  const lying = new Map<string, number>();
  for (const [key] of w.outbox.entries('token')) {
    const edge = key.slice(0, key.lastIndexOf('/'));
    lying.set(edge, (lying.get(edge) ?? 0) + 1);
  }
  return {
    runs: (key: string) => runs.get(key) ?? [],
    skipped: (key: string) => skipped.get(key) ?? [],
    lying: (key: string, parent: string) => lying.get(`${key}/${parent}`) ?? 0,
  };
}

/** A fault in the scheduler, planted where it hands its records over: whoever looks for faults must find it. */
function meddle(w: World, bug: 'lost' | 'twice'): void {
  const { emit } = w.outbox;
  let left = 0;
  const isToken = (one: Parameters<typeof emit>[0][number]) =>
    typeof one === 'object' && one.kind === 'token' && one.body !== undefined;
  w.outbox.emit = items => {
    // In memory all is well until the leader dies.
    if (bug === 'lost') return emit(items.filter(one => !isToken(one)));
    const token = items.find(isToken);
    if (typeof token !== 'object' || ++left !== 5) return emit(items);
    emit([...items, { ...token, key: `${token.key}.again`, body: { ...(token.body as object), run: 'again' } }]);
  };
}
