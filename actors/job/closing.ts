// closing.ts: how a run ends: when its last instance is over it becomes history.

import { count, type Effect, log, record, tell } from '../effects.ts';
import { instanceKey, type RunId, runKey } from '../model/ids.ts';
import { sizeOf } from '../model/ranges.ts';
import { type FinishedRun, type RunOutcome, sortable } from '../model/records.ts';
import { type Step, step } from '../step.ts';
import { wants } from '../update/update-plan.ts';
import type { JobState } from './job.ts';
import type { Kin } from './kin.ts';
import { isEveryoneOver } from './runs.ts';
import { tallied } from './tally.ts';
import { told } from './tellings.ts';
import { isSoft, leaveTokens, parentRun } from './tokens.ts';

/** The last instance has ended: the run becomes history, and its records go in the same step. */
export function closeIfOver(state: JobState, id: RunId, now: number, kin: Kin): Step<JobState, Effect> {
  const run = state.runs.get(id);
  if (run === undefined) return step(state);
  const { instances, cause, created_at, killing } = run.record;
  if (!isEveryoneOver(run)) return step(state);
  const inside = [...run.over].filter(([index]) => wants(run.record, index));
  const outcomes = inside.map(([, one]) => one.outcome);
  const outcome: RunOutcome = outcomes.includes('failed')
    ? 'failed'
    : killing !== undefined || outcomes.includes('killed')
      ? 'killed'
      : 'succeeded';
  const finished: FinishedRun = {
    run: id,
    cause,
    instances: instances - sizeOf(run.record.without),
    created_at,
    ended_at: now,
    ...(run.started_at === undefined ? {} : { started_at: run.started_at }),
    outcome,
    ...(killing === undefined ? {} : { by: killing.by }),
    results: inside.slice(0, results_max).map(([index, one]) => ({
      index,
      attempts: one.attempt,
      failures: one.failures,
      outcome: one.outcome,
      reason: one.reason,
      ...(one.agent_id === undefined ? {} : { agent_id: one.agent_id }),
      ...(one.hostname === undefined ? {} : { hostname: one.hostname }),
      ...(one.result === undefined ? {} : { result: one.result }),
    })),
  };
  const tally = tallied(state.tally, outcome, now, now - (run.started_at ?? created_at));
  const runs = new Map(state.runs);
  runs.delete(id);
  return step(
    { ...state, runs, tally, rollout: undefined },
    record('finished-run', `${state.key}/${sortable(created_at)}/${id}`, finished),
    ...[...run.over.keys()].map(index => record('instance', instanceKey(state.key, id, index), undefined)),
    record('run', runKey(state.key, id), undefined),
    record('tally', state.key, tally),
    ...(kin.children(state.key).size === 0
      ? []
      : leaveTokens(kin, parentRun(state.key, finished), isSoft(state.record))),
    ...(state.record.job.service
      ? []
      : [
          tell({
            to: 'trigger',
            key: state.key,
            message: { type: 'run-ended', run: id, failures: tally.failures_since_success },
          }),
        ]),
    ...told(state, run, finished, tally),
    count('horae_runs_total', { outcome }),
    log(outcome === 'failed' ? 'warn' : 'info', { job: state.key, run: id }, `run ${outcome}`),
  );
}

/** Results of this many instances stay with a finished run. */
const results_max = 100;
