// updates.ts: rolling updates in a simulated cluster: what people want of services, and what the log must say of it.

import type { Command } from '../../actors/model/commands.ts';
import { keyOf } from '../../actors/model/job.ts';
import type { JobRecord } from '../../actors/model/records.ts';
import { update_defaults } from '../../actors/model/update-request.ts';
import {
  type FinishedUpdate,
  type Strategy,
  type UpdateRecord,
  update_transitions,
} from '../../actors/model/updates.ts';
import { job } from '../support/world.ts';
import type { Entry, Ledger } from './ledger.ts';

const minute = 60_000;

/** An update of a service that there is, to something that may or may not be well. */
export function wishFor(record: JobRecord, pick: <T>(all: readonly T[]) => T, name: string): Command {
  const { role, environment, name: of, cpus } = record.job;
  const strategies: readonly Strategy[] = [
    { type: 'queue', size: 1 },
    { type: 'queue', size: 2 },
    { type: 'batch', size: 2 },
    { type: 'batch', size: 1, autopause: true },
    { type: 'variable-batch', sizes: [1, 2] },
  ];
  const command = pick([`sleep infinity # ${name}`, `sleep infinity # ${name}`, `sleep 5; exit 1`]);
  const after = job({ role, environment, name: of, command, cpus, service: true, instances: pick([1, 2, 3, 4]) });
  return {
    type: 'start-update',
    key: keyOf(after),
    job: after,
    request: name,
    how: {
      ...update_defaults,
      strategy: pick(strategies),
      watch_ms: pick([0, 10_000, 30_000]),
      max_per_shard_failures: pick([0, 0, 1]),
      max_total_failures: after.instances === 1 ? 0 : pick([0, 1]),
      rollback_on_failure: pick([true, true, false]),
      progress_deadline_ms: 2 * minute,
      ...pick([{}, {}, {}, { pulse_interval_ms: minute }]),
    },
  };
}

/** Follows every update through the log: it goes by its table, and never has more on their way than it may. */
export function watchUpdates(wrong: (what: string) => void): (entry: Entry) => void {
  const living = new Map<string, UpdateRecord>();
  const judge = (key: string, to: FinishedUpdate | UpdateRecord) => {
    const from = living.get(key)?.status ?? to.status;
    if (from !== to.status && !reaches(from, to.status))
      wrong(`update ${to.id} of ${key} goes from ${from} to ${to.status}`);
  };
  return ({ kind, key, body }) => {
    if (kind === 'finished-update') judge(key.split('/').slice(0, 3).join('/'), body as FinishedUpdate);
    if (kind !== 'update') return;
    if (body === undefined) return void living.delete(key);
    const update = body as UpdateRecord;
    const { strategy } = update.how;
    const most = strategy.type === 'variable-batch' ? Math.max(...strategy.sizes) : strategy.size;
    if (update.flights.length > most)
      wrong(
        `update ${update.id} of ${key} has ${update.flights.length} instances on their way: expected at most ${most}`,
      );
    const before = living.get(key);
    if (before !== undefined && before.id !== update.id)
      wrong(`update ${update.id} of ${key} begins while ${before.id} is active`);
    judge(key, update);
    living.set(key, update);
  };
}

/** One step decides as much as can be decided, so a record may be several steps of the table from the one before. */
function reaches(from: UpdateRecord['status'], to: UpdateRecord['status'], steps = 4): boolean {
  if (from === to) return true;
  return steps > 0 && update_transitions[from].some(next => reaches(next, to, steps - 1));
}

/** Updates that nobody holds up: with everything whole they come to an end. */
export const rolling = (ledger: Ledger): readonly UpdateRecord[] =>
  ledger
    .living('update')
    .map(([, body]) => body as UpdateRecord)
    .filter(({ status }) => status === 'ROLLING_FORWARD' || status === 'ROLLING_BACK');

/** How many ended in which status. */
export function endsOf(ledger: Ledger): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { body } of ledger.entries('finished-update')) {
    const { status } = body as FinishedUpdate;
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}
