// core.ts: a stand-in for the scheduler behind the server: commands in, records out, no actors.
//
// It keeps the promises of `Submit` that the HTTP layer relies on (versions, conflicts, idempotent starts, audit) and
// commits its records to the production projection, so that what the routes read is read as in production. Nothing runs:
// a test moves runs along by committing the records that the actors would have written.

import { isDeepStrictEqual } from 'node:util';
import type { Answer, CommandEnvelope, Submit } from '../../../actors/model/commands.ts';
import { tokenKey } from '../../../actors/model/ids.ts';
import { keyOf } from '../../../actors/model/job.ts';
import { refusal } from '../../../actors/model/reasons.ts';
import { type AuditRow, type JobRecord, type RunRecord, sortable } from '../../../actors/model/records.ts';
import { isOver, type UpdateRecord } from '../../../actors/model/updates.ts';
import type { FeedChange, PendingReason } from '../../../actors/model/views.ts';
import { steered } from '../../../actors/update/update.ts';
import { planned } from '../../../actors/update/update-plan.ts';
import type { History, HistoryKind } from '../../../transport/journal/journal.ts';
import { createProjection, type Projection } from '../../../transport/projection.ts';
import { pendingOf } from '../../support/pending.ts';

export type Core = {
  readonly submit: Submit;
  readonly views: Projection;
  readonly history: History;
  /** Everything that was asked, in order. */
  readonly asked: CommandEnvelope[];
  /** Shown by the views as what placement says. */
  readonly pending: PendingReason[];
  /** When each job is due next. */
  readonly next_at: Map<string, number>;
  readonly commit: (...changes: FeedChange[]) => void;
  /** While set, commands wait: as they do for a journal that takes its time. */
  hold: Promise<void> | undefined;
};

export function createCore(now: () => number = () => 1_700_000_000_000): Core {
  const rows = new Map<HistoryKind, { key: string; body: unknown }[]>();
  const history: History = {
    page(kind, prefix, limit, before) {
      const found = (rows.get(kind) ?? [])
        .filter(row => row.key.startsWith(prefix) && (before === undefined || row.key < before))
        .sort((a, b) => (a.key < b.key ? 1 : -1));
      const page = found.slice(0, limit);
      return found.length > limit ? { rows: page, next: page.at(-1)!.key } : { rows: page };
    },
    get: (kind, key) => rows.get(kind)?.find(row => row.key === key)?.body,
    count: (kind, prefix) => (rows.get(kind) ?? []).filter(row => row.key.startsWith(prefix)).length,
  };
  const pending: PendingReason[] = [];
  const next_at = new Map<string, number>();
  const views = createProjection({ history, pending: pendingOf(pending), nextAt: key => next_at.get(key) });
  const asked: CommandEnvelope[] = [];
  let position = 0;
  let incarnation = 0;

  const commit = (...changes: FeedChange[]) => {
    for (const { kind, key, body } of changes)
      if (
        [
          'finished-run',
          'finished-attempt',
          'finished-update',
          'update-event',
          'outcome',
          'missed',
          'sent-letter',
          'audit',
        ].includes(kind)
      ) {
        const table = rows.get(kind as HistoryKind) ?? [];
        rows.set(kind as HistoryKind, [...table, { key, body }]);
      }
    position += changes.length;
    views.commit(changes, position);
  };
  const put = (key: string, record: JobRecord) => commit({ kind: 'job', key, body: record });

  const decide = ({ command, principal }: CommandEnvelope): Answer => {
    if (command.type === 'put-calendar' || command.type === 'delete-calendar') {
      const { name } = command;
      const before = views.calendar(name);
      if (command.type === 'delete-calendar' && before === undefined)
        return refusal('not-found', `there is no calendar ${name}`);
      const version = (before?.version ?? 0) + (command.type === 'put-calendar' ? 1 : 0);
      const body = command.type === 'put-calendar' ? { ...command.calendar, version, updated_at: now() } : undefined;
      commit({ kind: 'calendar', key: name, body });
      return { type: body === undefined ? 'calendar-deleted' : 'calendar-stored', name, version };
    }
    if ('node' in command) return { type: 'noted' };
    if ('letter' in command)
      return { type: command.type === 'retry-letter' ? 'letter-retrying' : 'letter-deleted', letter: command.letter };
    const key = command.type === 'submit' ? keyOf(command.job) : command.key;
    const known = views.job(key)?.record;
    if ('instance' in command) return { type: 'noted', key };
    if (command.type === 'submit') {
      if (known !== undefined && command.mode === 'create') return refusal('exists', `job ${key} exists already`);
      if (known === undefined && command.mode === 'replace') return refusal('not-found', `there is no job ${key}`);
      if (command.if_version !== undefined && command.if_version !== known?.version)
        return refusal('version-mismatch', `job ${key} is at version ${known?.version}`);
      if (isDeepStrictEqual(known?.job, command.job)) return { type: 'unchanged', key, version: known!.version };
      const version = (known?.version ?? 0) + 1;
      const { job, origin } = command;
      const record: JobRecord = {
        job,
        version,
        incarnation: known?.incarnation ?? ++incarnation,
        created_at: known?.created_at ?? now(),
        updated_at: now(),
        ...(origin === undefined ? {} : { origin }),
      };
      put(key, record);
      return { type: known === undefined ? 'created' : 'replaced', key, version };
    }
    if (known === undefined) return refusal('not-found', `there is no job ${key}`);
    switch (command.type) {
      case 'delete':
        commit({ kind: 'job', key, body: undefined });
        return { type: 'deleted', key };
      case 'set-enabled': {
        if (known.job.enabled === command.enabled) return { type: 'unchanged', key, version: known.version };
        put(key, { ...known, version: known.version + 1, job: { ...known.job, enabled: command.enabled } });
        return { type: 'changed', key, version: known.version + 1 };
      }
      case 'snooze': {
        const { until } = command;
        return { type: 'snoozing', key, index: command.index, ...(until === undefined ? {} : { until }) };
      }
      case 'progress': {
        const { task_id, elements } = command;
        const at = views
          .job(key)!
          .runs.flatMap(run => run.instances)
          .find(one => one.task_id === task_id);
        if (at === undefined || !('agent_id' in at.record)) return refusal('not-found', `no task ${task_id} lives`);
        const counted = { ...at.record, elements: elements + (('elements' in at.record && at.record.elements) || 0) };
        commit({ kind: 'instance', key: at.key, body: counted });
        return { type: 'progressed', key, task_id, elements: counted.elements };
      }
      case 'complete-task': {
        const { task_id } = command;
        const status = views
          .job(key)!
          .runs.flatMap(run => run.instances)
          .find(one => one.task_id === task_id)?.record.status;
        if (status !== 'awaiting') return refusal('not-awaited', `nobody waits for word of task ${task_id}`);
        return { type: 'completed', key, task_id };
      }
      case 'wake':
        return { type: 'waking', key, index: command.index };
      case 'start-run': {
        const run = `${known.incarnation}.m.${command.request}`;
        if (views.run(key, run) !== undefined) return { type: 'existing', key, run };
        const { request, arguments: words } = command;
        const cause = { type: 'manual', by: principal.name, request, ...(words && { arguments: words }) } as const;
        const record: RunRecord = { run, cause, instances: known.job.instances, created_at: now() };
        const instance = { status: 'pending', attempt: 1, failures: 0, since: now() } as const;
        commit(
          { kind: 'run', key: `${key}/${run}`, body: record },
          { kind: 'instance', key: `${key}/${run}/0`, body: instance },
        );
        return { type: 'started', key, run };
      }
      case 'pause':
      case 'resume': {
        const { paused: _, ...rest } = views.job(key)!.trigger ?? { cursors: {}, waiting: [] };
        const paused = command.type === 'pause' ? { since: now(), note: command.note, by: principal.name } : undefined;
        commit({ kind: 'trigger', key, body: { ...rest, ...(paused === undefined ? {} : { paused }) } });
        return { type: 'changed', key, version: known.version };
      }
      case 'mark-success': {
        const was = views.job(key)!.tally ?? { successes: 0, failures: 0, failures_since_success: 0 };
        const tally = { ...was, successes: was.successes + 1, failures_since_success: 0, last_success_at: now() };
        commit({ kind: 'tally', key, body: tally });
        return { type: 'changed', key, version: known.version };
      }
      case 'clear-tokens': {
        const gone = [...views.tokens(key)].flatMap(([parent, lying]) =>
          command.parent === undefined || command.parent === parent
            ? lying.map(one => ({ kind: 'token', key: tokenKey(key, parent, one.run), body: undefined }))
            : [],
        );
        commit(...gone);
        return { type: 'cleared', key, count: gone.length };
      }
      case 'start-update': {
        const active = views.job(key)!.update;
        if (active !== undefined) {
          if (active.request !== command.request)
            return refusal('updating', `job ${key} is being updated by ${active.id}`);
          return { type: 'update', key, update: active.id, status: active.status, result: 'existing' };
        }
        if (isDeepStrictEqual(known.job, command.job)) return { type: 'unchanged', key, version: known.version };
        const id = `${known.incarnation}.${known.version + 1}`;
        const found = { instances: known.job.instances };
        const made = planned(found, known.job, command.job, command.only);
        if (!('plan' in made)) return refusal('invalid', 'no such instances');
        const status = command.how.pulse_interval_ms === undefined ? 'ROLLING_FORWARD' : 'ROLL_FORWARD_AWAITING_PULSE';
        const body: UpdateRecord = {
          ...{ id, status, by: principal.name, created_at: now(), changed_at: now(), request: command.request },
          ...(command.message === undefined ? {} : { message: command.message }),
          ...{
            how: command.how,
            run: '1.service',
            found,
            renewed: true,
            plan: made.plan,
            taken: 1,
            failed: [],
            events: 2,
          },
          before: { job: known.job, version: known.version },
          after: { job: command.job, version: known.version + 1 },
          flights: [{ index: 0, since: now(), failures: 0 }],
        };
        const row = `${key}/${sortable(now())}.${id}`;
        put(key, { ...known, job: command.job, version: known.version + 1 });
        commit(
          { kind: 'update', key, body },
          { kind: 'update-event', key: `${row}/${sortable(0)}`, body: { at: now(), status } },
          {
            kind: 'update-event',
            key: `${row}/${sortable(1)}`,
            body: { at: now(), index: 0, action: 'INSTANCE_UPDATING' },
          },
        );
        return { type: 'update', key, update: id, status, result: 'started' };
      }
      case 'steer-update': {
        const active = views.job(key)!.update;
        if (active === undefined || (command.update ?? active.id) !== active.id) {
          if (command.what === 'pulse')
            return { type: 'update', key, update: command.update ?? '', result: 'finished' };
          return refusal('not-updating', `job ${key} has no such update`);
        }
        const state = { record: active, running: new Map() };
        const next = steered(state, command.what, principal.name, command.message, () => true, now());
        const { record } = next.state;
        if (next.result === 'refused') return refusal('not-updating', `it is ${active.status}`);
        if (!isOver(record.status)) commit({ kind: 'update', key, body: record });
        else {
          const { found: _, renewed: __, flights: ___, request: ____, ...kept } = record;
          const row = `${key}/${sortable(record.created_at)}/${record.id}`;
          commit(
            { kind: 'update', key, body: undefined },
            { kind: 'finished-update', key: row, body: { ...kept, ended_at: now() } },
          );
        }
        return { type: 'update', key, update: record.id, status: record.status, result: next.result };
      }
      case 'backfill':
        return { type: 'backfilling', key, backfill: command.request, targets: 1 };
      case 'kill-run':
      case 'kill-all': {
        const runs = views
          .job(key)!
          .runs.filter(each => command.type === 'kill-all' || each.record.run === command.run);
        if (runs.length === 0 && command.type === 'kill-run')
          return refusal('not-found', `job ${key} has no active run ${command.run}`);
        for (const { record } of runs) {
          const killing = { by: principal.name, at: now() };
          commit({ kind: 'run', key: `${key}/${record.run}`, body: { ...record, killing } });
        }
        return { type: 'killing', key, count: runs.length };
      }
    }
  };

  const core: Core = {
    views,
    history,
    asked,
    pending,
    next_at,
    commit,
    hold: undefined,
    async submit(envelope) {
      asked.push(envelope);
      await core.hold;
      const answer = decide(envelope);
      const audit: AuditRow = {
        at: now(),
        principal: envelope.principal.name,
        command: envelope.command.type,
        target: targetOf(envelope.command),
        request_id: envelope.request_id,
        result: answer.type,
      };
      commit({ kind: 'audit', key: `${sortable(now())}/${envelope.request_id}`, body: audit });
      return answer;
    },
  };
  return core;
}

function targetOf(command: CommandEnvelope['command']): string {
  if ('letter' in command) return `letter/${command.letter}`;
  if ('name' in command) return `calendar/${command.name}`;
  if ('node' in command) return `node/${command.node}`;
  return 'key' in command ? command.key : keyOf(command.job);
}
