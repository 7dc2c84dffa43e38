// task-reports.ts: what executors say of their tasks beside their states: processes, ports, health.
//
// It comes with status updates, as often as something is worth seeing, and nobody decides anything by it: so it is written down
// nowhere. After a change of the leader it is known again when the executor says the next thing. Only so many are kept; those
// of whom nothing was heard for longest go first.

import type { Instant } from '../schedules/clock.ts';
import type { TaskReport } from './executor/report.ts';
import { type Event, type TaskStatus, terminal_states } from './protocol.ts';

export type HeardReport = TaskReport & {
  readonly heard_at: Instant /** Nothing more will be heard. */;
  readonly over: boolean;
};
export type HearingReports = {
  /** The last that was heard of a task; undefined when there is none (any more). */
  readonly of: (task_id: string) => HeardReport | undefined;
  readonly heard: (events: readonly Event[]) => void;
  /** Live tasks whose checks are snoozed, those that are not well, and those that are. */
  readonly counts: () => { readonly snoozed: number; readonly sick: number; readonly well: number };
};

/** An executor of ours says less; whoever says more is another's. */
const data_bytes_max = 65_536;

export function hearReports(now: () => Instant, reports_max: number): HearingReports {
  // In order of the last word: a report that comes anew goes to the end.
  const reports = new Map<string, HeardReport>();
  const hear = (status: TaskStatus) => {
    const task_id = status.task_id.value;
    const over = terminal_states.has(status.state);
    const report = status.data === undefined ? undefined : readReport(status.data);
    const before = reports.get(task_id);
    if (report === undefined) {
      if (over && before !== undefined) reports.set(task_id, { ...before, over });
      return;
    }
    keep(task_id, report, over);
  };
  const keep = (task_id: string, report: TaskReport, over: boolean) => {
    reports.delete(task_id);
    reports.set(task_id, { ...report, heard_at: now(), over });
    if (reports.size > reports_max) {
      const [oldest] = reports.keys();
      reports.delete(oldest!);
    }
  };
  const hearAnswer = (task_id: string, data: string) => {
    const report = readAnswer(data, task_id);
    // A last word is not taken back by an answer that comes late.
    if (report !== undefined && reports.get(task_id)?.over !== true) keep(task_id, report, report.stage === 'over');
  };
  return {
    heard(events) {
      for (const event of events) {
        if (event.type === 'UPDATE') hear(event.update.status);
        else if (event.type === 'MESSAGE') hearAnswer(event.message.executor_id.value, event.message.data);
      }
    },
    of: task_id => reports.get(task_id),
    counts() {
      const counts = { snoozed: 0, sick: 0, well: 0 };
      for (const { over, health } of reports.values()) {
        if (over || health === undefined) continue;
        if (health.snoozed_since !== undefined) counts.snoozed++;
        else if (health.up && health.failures_in_a_row === 0) counts.well++;
        else counts.sick++;
      }
      return counts;
    },
  };
}

/** The question to an executor how everything stands, for the data of a MESSAGE. */
export const report_question = Buffer.from(JSON.stringify({ type: 'report' })).toString('base64');

/** What other executors put there means nothing to us. */
export const readReport = (data: string): TaskReport | undefined => asReport(readData(data));

/** An executor answers for its own task alone, which is named like it. */
function readAnswer(data: string, executor_id: string): TaskReport | undefined {
  const { type, tasks } = (readData(data) ?? {}) as { readonly type?: unknown; readonly tasks?: unknown };
  if (type !== 'report' || typeof tasks !== 'object' || tasks === null || !Object.hasOwn(tasks, executor_id))
    return undefined;
  return asReport((tasks as Readonly<Record<string, unknown>>)[executor_id]);
}

function readData(data: string): unknown {
  if (data.length > data_bytes_max) return undefined;
  try {
    return JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}

function asReport(value: unknown): TaskReport | undefined {
  const report = value as Partial<TaskReport> | null | undefined;
  const is_ours =
    typeof report === 'object' &&
    report?.format === 1 &&
    typeof report.stage === 'string' &&
    Array.isArray(report.processes) &&
    typeof report.ports === 'object' &&
    report.ports !== null;
  return is_ours ? (report as TaskReport) : undefined;
}
