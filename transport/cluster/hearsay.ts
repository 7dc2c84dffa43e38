// hearsay.ts: what executors say of their tasks, on a node that does not lead: asked of the leader, who alone hears them.
//
// It is in nobody's records, so there is nothing to follow. A person waits for the answer: when the leader gives none at once,
// what is known here has to do.

import type { TaskReports } from '../../actors/model/views.ts';
import { isNotLeading } from './errand.ts';
import type { Line } from './line.ts';

export type HearsayOptions = {
  /** What this node has heard itself. */
  readonly own: TaskReports;
  readonly leads: () => boolean;
  readonly line: Pick<Line, 'connected' | 'request'>;
};

/** Tasks in one question: a report is about a kilobyte. */
const tasks_at_once = 500;
const questions_max = 8;
const answer_ms = 1_000;

type Told = readonly (readonly [task_id: string, report: NonNullable<ReturnType<TaskReports['of']>>])[];

export function createHearsay({ own, leads, line }: HearsayOptions): TaskReports {
  const ask = async (task_ids: readonly string[]): Promise<Told | undefined> => {
    const answer = await line.request('reports', task_ids, answer_ms).catch(() => undefined);
    return answer === undefined || isNotLeading(answer) ? undefined : (answer as Told);
  };
  return {
    of: own.of,
    async told(task_ids) {
      if (leads() || !line.connected() || task_ids.length === 0) return own;
      const questions = Array.from(
        { length: Math.min(questions_max, Math.ceil(task_ids.length / tasks_at_once)) },
        (_, n) => task_ids.slice(n * tasks_at_once, (n + 1) * tasks_at_once),
      );
      const answers = await Promise.all(questions.map(ask));
      if (answers.includes(undefined)) return own;
      const reports = new Map(answers.flatMap(answer => answer ?? []));
      return { of: task_id => reports.get(task_id) };
    },
  };
}

/** The leader's answer. Throws when the question is none. */
export function tellReports(own: Pick<TaskReports, 'of'>, asked: unknown): Told {
  if (!Array.isArray(asked) || asked.length > tasks_at_once || !asked.every(one => typeof one === 'string'))
    throw new Error(`a question for reports that is no list of at most ${tasks_at_once} tasks`);
  return (asked as readonly string[]).flatMap(task_id => {
    const report = own.of(task_id);
    return report === undefined ? [] : [[task_id, report] as const];
  });
}
