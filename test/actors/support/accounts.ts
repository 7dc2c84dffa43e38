// accounts.ts: every target of every schedule held against what was told of it.
//
// Which targets there were follows from the jobs' records alone; what became of them is in the history. For jobs that are
// not changed while they live.

import type { JobRecord, OutcomeRow } from '../../../actors/model/records.ts';
import { readSchedule } from '../../../actors/model/schedules.ts';
import { targetsBetween } from '../../../schedules/schedule.ts';
import type { World } from '../../support/world.ts';

export type Account = { readonly targets: number; readonly ran: number; readonly complaints: readonly string[] };

/** Targets up to `until`; those within `grace_ms` before it need not have been decided. */
export function account(w: World, until: number, grace_ms = 0): Account {
  const rows = new Map<string, OutcomeRow[]>();
  for (const { key, body } of w.journal.page('outcome', '', Number.MAX_SAFE_INTEGER).rows) {
    const row = body as OutcomeRow;
    const name = `${key.split('/').slice(0, 3).join('/')} ${row.schedule}`;
    rows.set(name, [...(rows.get(name) ?? []), row]);
  }
  const complaints: string[] = [];
  let targets = 0;
  let ran = 0;
  for (const [key, body] of w.outbox.entries('job')) {
    const { job, created_at } = body as JobRecord;
    for (const document of job.schedules) {
      const read = readSchedule(document, key, created_at, { default_zone: 'UTC' });
      if (!read.ok) throw new Error(read.problems[0]!.message);
      const told = (rows.get(`${key} ${document.id}`) ?? []).sort((a, b) => a.from - b.from);
      const owed = targetsBetween(read.value, created_at - 1, until, 10_000_000);
      targets += owed.length;
      ran += told.filter(row => row.outcome === 'ran' || row.outcome === 'caught-up').length;
      const name = `${key} ${document.id} (${document.cron ?? document.iso8601})`;
      let n = 0;
      for (const row of told) {
        if (owed[n] !== row.from || owed[n + row.count - 1] !== row.to) {
          complaints.push(
            `${name}: ${row.outcome} from ${iso(row.from)}, ${row.count} of them: expected ${iso(owed[n])}`,
          );
          break;
        }
        n += row.count;
      }
      if (n < owed.length && owed[n]! <= until - grace_ms)
        complaints.push(`${name}: nothing is told of ${iso(owed[n])}`);
    }
  }
  return { targets, ran, complaints };
}

const iso = (at: number | undefined) => (at === undefined ? 'none' : new Date(at).toISOString());
