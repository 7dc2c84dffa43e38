// events.ts: what one instance went through, attempt after attempt, as a list of moments. Pure.
//
// The records keep a few instants of each attempt, and the history keeps those of attempts that are over. Laid one behind the
// other they are the story of the instance, and nobody has to write down every step of it as it happens.

import { parseTaskId } from '../../../actors/model/ids.ts';
import type { EndReason } from '../../../actors/model/reasons.ts';
import type { FinishedAttempt, InstanceRecord } from '../../../actors/model/records.ts';

export type InstanceEvent = {
  readonly at: number;
  readonly attempt: number;
  readonly state:
    | 'pending'
    | 'assigned'
    | 'running'
    | 'unreachable'
    | 'awaiting'
    | 'killing'
    | 'finished'
    | 'failed'
    | 'killed'
    | 'lost';
  readonly hostname?: string;
  readonly by?: string;
  readonly reason?: EndReason;
  /** How long the attempt that ended here had run. */
  readonly ran_ms?: number;
};

/** Oldest first; `ended`: the attempts that are over, in any order. */
export function eventsOf(record: InstanceRecord | undefined, ended: readonly FinishedAttempt[]): InstanceEvent[] {
  const events: InstanceEvent[] = [];
  for (const row of [...ended].sort((a, b) => a.attempt - b.attempt)) {
    const { attempt, hostname, reason, ended_at: at, outcome: state, started_at } = row;
    events.push(...before(row, hostname, reason.code === 'killed' ? reason.by : undefined));
    events.push({
      at,
      attempt,
      state,
      reason,
      ...(hostname === undefined ? {} : { hostname }),
      ...(started_at === undefined ? {} : { ran_ms: Math.max(0, at - started_at) }),
    });
  }
  if (record === undefined || record.status === 'over') return events;
  if (record.status === 'pending')
    return [...events, { at: record.since, attempt: record.attempt, state: 'pending' as const }];
  const killing = record.status === 'killing';
  const away = record.status === 'unreachable' ? record.since : record.away_at;
  const assigned_at = record.assigned_at ?? record.since;
  const moments = {
    ...record,
    assigned_at,
    waiting_at: assigned_at - (record.waited_ms ?? 0),
    ...(away === undefined ? {} : { away_at: away }),
    ...(killing ? { killed_at: record.since } : {}),
  };
  const waits =
    record.status === 'awaiting' ? [{ at: record.since, attempt: record.attempt, state: 'awaiting' as const }] : [];
  return [...events, ...before(moments, record.hostname, killing ? record.by : undefined), ...waits];
}

/** What an attempt went through before its end, in the order in which it did. */
function before(moments: Moments, hostname: string | undefined, by: string | undefined): readonly InstanceEvent[] {
  const { attempt, waiting_at, assigned_at, started_at, away_at, killed_at } = moments;
  const told: (InstanceEvent | undefined)[] = [
    waiting_at === undefined ? undefined : { at: waiting_at, attempt, state: 'pending' },
    assigned_at === undefined
      ? undefined
      : { at: assigned_at, attempt, state: 'assigned', ...(hostname === undefined ? {} : { hostname }) },
    started_at === undefined ? undefined : { at: started_at, attempt, state: 'running' },
    away_at === undefined ? undefined : { at: away_at, attempt, state: 'unreachable' },
    killed_at === undefined
      ? undefined
      : { at: killed_at, attempt, state: 'killing', ...(by === undefined ? {} : { by }) },
  ];
  // By instants: an agent can be out of reach before the task was heard of. Its clock may be behind ours by a little.
  return told.filter(one => one !== undefined).sort((a, b) => a.at - b.at);
}

type Moments = Pick<FinishedAttempt, 'attempt' | 'waiting_at' | 'assigned_at' | 'started_at' | 'away_at' | 'killed_at'>;

/** Of all attempts of a job those of one instance, the newest `limit` of them. */
export const attemptsOf = (
  rows: readonly { readonly body: unknown }[],
  instance: string,
  limit: number,
): readonly FinishedAttempt[] =>
  rows
    .map(({ body }) => body as FinishedAttempt)
    .filter(({ task_id }) => parseTaskId(task_id)?.instance === instance)
    .slice(0, limit);
