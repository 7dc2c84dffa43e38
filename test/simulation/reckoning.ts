// reckoning.ts: when all is over: what was due, what was told of it, what people were promised, and what each node has.

import type { FinishedRun, JobRecord, OutcomeRow } from '../../actors/model/records.ts';
import { readSchedule } from '../../actors/model/schedules.ts';
import { targetsBetween } from '../../schedules/schedule.ts';
import type { Entry, Ledger } from './ledger.ts';
import type { SimulatedNode } from './node.ts';
import type { People } from './people.ts';
import type { Truth } from './truth.ts';

const targets_max = 1_000_000;
const state_kinds = ['job', 'trigger', 'run', 'instance', 'update', 'notice', 'letter', 'place'] as const;

/** One life of a job: from its first record to the one that ends it. */
type Life = { readonly key: string; readonly record: JobRecord; until: number | undefined };

function livesOf(ledger: Ledger): Life[] {
  const lives: Life[] = [];
  const present = new Map<string, Life>();
  for (const { key, body } of ledger.entries('job')) {
    const record = body as JobRecord | undefined;
    const life = present.get(key);
    if (record === undefined) present.delete(key);
    else if (life === undefined || life.record.incarnation !== record.incarnation) {
      const born: Life = { key, record, until: undefined };
      present.set(key, born);
      lives.push(born);
    } else if (record.deleting === true) life.until ??= record.updated_at;
  }
  return lives;
}

const rowsOf = (ledger: Ledger) => {
  const rows = new Map<string, OutcomeRow[]>();
  for (const { key, body } of ledger.entries('outcome')) {
    const name = jobOf(key);
    const of_job = rows.get(name);
    if (of_job === undefined) rows.set(name, [body as OutcomeRow]);
    else of_job.push(body as OutcomeRow);
  }
  return rows;
};
const jobOf = (history_key: string) => history_key.split('/').slice(0, 3).join('/');
const iso = (at: number) => new Date(at).toISOString();

/** Targets of a life up to `upto` with how often each is told. */
function told({ key, record }: Life, rows: readonly OutcomeRow[], upto: number): { target: number; times: number }[] {
  return record.job.schedules.flatMap(document => {
    const read = readSchedule(document, key, record.created_at, { default_zone: 'UTC' });
    if (!read.ok) throw new Error(read.problems[0]!.message);
    const mine = rows.filter(row => row.schedule === document.id);
    return targetsBetween(read.value, record.created_at - 1, upto, targets_max).map(target => ({
      target,
      times: mine.filter(row => row.from <= target && target <= row.to).length,
    }));
  });
}

/** Everything that was due has run, or it is recorded why not. */
export function decidedBy(ledger: Ledger, instant: number, wrong: (what: string) => void): void {
  const rows = rowsOf(ledger);
  // A start that waits for its turn is no outcome yet, but it is recorded.
  for (const life of livesOf(ledger)) {
    const trigger = ledger.latest('trigger', life.key) as
      | { readonly waiting: readonly { readonly cause: { readonly type: string; readonly at?: number } }[] }
      | undefined;
    const waiting = new Set(trigger?.waiting.map(({ cause }) => cause.at));
    for (const { target, times } of told(life, rows.get(life.key) ?? [], life.until ?? instant))
      if (times === 0 && !waiting.has(target))
        wrong(`nothing is told of ${life.key} ${iso(target)}, ${iso(instant)} being long past`);
  }
}

type Books = {
  readonly ledger: Ledger;
  readonly truth: Truth;
  readonly people: People;
  readonly nodes: readonly SimulatedNode[];
};

/** Nothing lives any more, nobody waits, and every node knows it. */
export const isOver = ({ ledger, truth, people, nodes }: Books): boolean =>
  state_kinds.every(kind => ledger.living(kind).length === 0) &&
  truth.running().length === 0 &&
  people.waiting() === 0 &&
  nodes.every(node => node.copy()?.position() === ledger.position());

export function compareBooks(world: Books & { readonly wrong: (what: string) => void }): number {
  const { ledger, truth, people, nodes, wrong } = world;
  for (const kind of state_kinds)
    for (const [key, body] of ledger.living(kind)) wrong(`${kind} ${key} was left behind: ${JSON.stringify(body)}`);
  for (const id of truth.running()) wrong(`${id} still runs`);
  if (people.waiting() > 0) wrong(`${people.waiting()} requests have no answer`);

  const rows = rowsOf(ledger);
  let targets = 0;
  for (const life of livesOf(ledger)) {
    if (life.until === undefined) {
      wrong(`${life.key} was never deleted`);
      continue;
    }
    const of_life = told(life, rows.get(life.key) ?? [], life.until);
    targets += of_life.length;
    for (const { target, times } of of_life) if (times !== 1) wrong(`${life.key} ${iso(target)} has ${times} outcomes`);
  }

  const finished = new Map<string, number>();
  for (const { key, body } of ledger.entries('finished-run') as readonly Entry[]) {
    const name = `${jobOf(key)} ${(body as FinishedRun).run}`;
    finished.set(name, (finished.get(name) ?? 0) + 1);
  }
  for (const [name, times] of finished) if (times > 1) wrong(`run ${name} ended ${times} times`);
  for (const name of people.promised) if (!finished.has(name)) wrong(`run ${name} was promised, and never ended`);
  for (const [key, all] of rows)
    for (const { run } of all)
      if (run !== undefined && !finished.has(`${key} ${run}`))
        wrong(`run ${key} ${run} has an outcome, and never ended`);

  for (const { body } of ledger.entries('audit')) {
    const { request_id } = body as { readonly request_id: string };
    if (people.refused.has(request_id)) wrong(`request ${request_id} was done, and somebody was told that it was not`);
  }
  for (const node of nodes) {
    const at = node.copy()?.position();
    if (at !== ledger.position()) wrong(`${node.machine.name} has the log up to ${at}: expected ${ledger.position()}`);
  }
  return targets;
}
