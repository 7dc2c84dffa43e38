// launches.test.ts: where a finite repetition counts launches, a start that overlap dropped has used nothing up.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import type { RunId } from '../../actors/model/ids.ts';
import { readJob } from '../../actors/model/job.ts';
import type { RunRecord } from '../../actors/model/records.ts';
import { newTrigger, type TriggerMessage, type TriggerState, trigger } from '../../actors/trigger/trigger.ts';

const settings = { default_zone: 'UTC', late_grace_ms: 1_000, verdicts_max: 100, waiting_max: 100, runs_max: 100 };
const key = 'chronos/default/slow';
const start = Date.UTC(2026, 0, 1);
const move = trigger(settings);

function triggerOf(overlap: object): TriggerState {
  const read = readJob({
    role: 'chronos',
    environment: 'default',
    name: 'slow',
    command: 'true',
    schedule: 'R3/2026-01-01T00:00:00Z/PT2S',
    catch_up: { policy: 'last', from: 'start' },
    count: 'launches',
    overlap,
  });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  const jobs = { job: read.value, incarnation: 1, version: 1, created_at: start, updated_at: start };
  return newTrigger(key, jobs, undefined, [], settings);
}

const isTarget = (body: unknown) => (body as RunRecord | undefined)?.cause.type === 'target';
/** Those of the schedule; runs by hand are not counted. */
const launches = (effects: readonly Effect[]) =>
  effects.filter(effect => effect.type === 'record' && effect.kind === 'run' && isTarget(effect.body)).length;
const armed = (effects: readonly Effect[]) =>
  effects.flatMap(effect =>
    effect.type === 'tell' && effect.to === 'timetable' && effect.message.type === 'armed' ? effect.message.armed : [],
  );

/** Looks at every target for as long as the timetable asks for it; each run takes seven seconds. */
function live(state: TriggerState, byHand?: number): { launched: number; over_at: number } {
  let now = start;
  let launched = 0;
  let wake: number | undefined;
  const ends = new Map<RunId, number>();
  const take = (message: TriggerMessage) => {
    const { state: next, effects } = move(state, message, now);
    for (const run of next.active) if (!ends.has(run)) ends.set(run, now + 7_000);
    launched += launches(effects);
    for (const { at } of armed(effects)) wake = at;
    state = next;
  };
  take({ type: 'begin' });
  for (; now < start + 120_000; now += 500) {
    for (const run of state.active) if (ends.get(run)! <= now) take({ type: 'run-ended', run });
    if (now === byHand) {
      const command = { type: 'start-run', key, request: 'x' } as const;
      take({ type: 'start', envelope: { command, principal: { name: 'ann' }, request_id: 'r' } });
    }
    if (wake !== undefined && wake <= now) {
      wake = undefined;
      take({ type: 'due', noticed_at: now });
    }
  }
  return { launched, over_at: state.record.cursors.s0!.remaining! };
}

for (const policy of ['buffer-one', 'skip', 'cancel-other'])
  test(`three launches are three launches under ${policy}, however long each takes`, t => {
    t.deepEqual(live(triggerOf({ policy })), { launched: 3, over_at: 0 });
  });

for (const [when, at] of [
  ['while launches are left', start + 5_500],
  ['when the last of them waits, and nothing more is due', start + 9_500],
] as const)
  test(`a start by hand that takes the place of a waiting launch ${when} uses none up`, t => {
    t.deepEqual(live(triggerOf({ policy: 'buffer-one' }), at), { launched: 3, over_at: 0 });
  });
