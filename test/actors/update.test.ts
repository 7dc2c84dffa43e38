// update.test.ts: the whole matrix of an update: every status by every word and everything that may happen in it.

import test from 'ava';
import { readJob } from '../../actors/model/job.ts';
import { rangesOf } from '../../actors/model/ranges.ts';
import { update_defaults } from '../../actors/model/update-request.ts';
import {
  type UpdateRecord,
  type UpdateStatus,
  update_statuses,
  update_transitions,
} from '../../actors/model/updates.ts';
import { seededRandom } from '../../actors/runtime/seeded.ts';
import {
  begunUpdate,
  dueAt,
  heardOf,
  lookedAt,
  type Steering,
  steered,
  steerings,
  type UpdateState,
  unreadable,
} from '../../actors/update/update.ts';
import { configOf, nextUp, orderOf, planned, shapeOf, trimmed, wants } from '../../actors/update/update-plan.ts';

const now = Date.UTC(2026, 0, 1);
const job = (command: string, instances = 4) => {
  const read = readJob({ role: 'w', environment: 'p', name: 'j', command, service: true, instances });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
};
const active = update_statuses.filter(status => update_transitions[status].length > 0);
const there = () => true;

function recordOf(more: Partial<UpdateRecord> = {}): UpdateRecord {
  return {
    id: '1.2',
    status: 'ROLLING_FORWARD',
    by: 'ann',
    created_at: now,
    changed_at: now,
    request: 'r',
    how: update_defaults,
    run: '1.service',
    before: { job: job('old'), version: 1 },
    after: { job: job('new'), version: 2 },
    found: { instances: 4 },
    renewed: true,
    plan: { create: [], change: rangesOf([0, 1, 2, 3]), remove: [] },
    taken: 1,
    flights: [{ index: 0, since: now, failures: 0 }],
    failed: [],
    events: 1,
    ...more,
  };
}
const stateOf = (status: UpdateStatus, more: Partial<UpdateRecord> = {}): UpdateState => ({
  record: recordOf({
    status,
    ...(status.includes('BACK') ? { rolled: 1 } : {}),
    // Where pulses are waited for there must have been some that have stopped.
    ...(status.includes('PULSE')
      ? { how: { ...update_defaults, pulse_interval_ms: 60_000 }, pulsed_at: now - 60_001 }
      : {}),
    ...more,
  }),
  running: new Map(),
});

/** Status by word: where it leads. `-`: refused. `=`: nothing changes. */
const table: Readonly<Record<string, Readonly<Record<Steering, string>>>> = {
  ROLLING_FORWARD: {
    pause: 'ROLL_FORWARD_PAUSED',
    resume: '-',
    abort: 'ABORTED',
    rollback: 'ROLLING_BACK',
    pulse: '=',
  },
  ROLLING_BACK: { pause: 'ROLL_BACK_PAUSED', resume: '-', abort: 'ABORTED', rollback: '-', pulse: '=' },
  ROLL_FORWARD_PAUSED: {
    pause: '=',
    resume: 'ROLLING_FORWARD',
    abort: 'ABORTED',
    rollback: 'ROLLING_BACK',
    pulse: '=',
  },
  ROLL_BACK_PAUSED: { pause: '=', resume: 'ROLLING_BACK', abort: 'ABORTED', rollback: '-', pulse: '=' },
  ROLL_FORWARD_AWAITING_PULSE: {
    pause: 'ROLL_FORWARD_PAUSED',
    resume: '-',
    abort: 'ABORTED',
    rollback: 'ROLLING_BACK',
    pulse: 'ROLLING_FORWARD',
  },
  ROLL_BACK_AWAITING_PULSE: {
    pause: 'ROLL_BACK_PAUSED',
    resume: '-',
    abort: 'ABORTED',
    rollback: '-',
    pulse: 'ROLLING_BACK',
  },
};

test('the table below knows every status that is not over', t => {
  t.deepEqual(Object.keys(table).sort(), [...active].sort());
});
for (const status of active)
  for (const what of steerings)
    test(`${status}, asked to ${what}: ${table[status]![what]}`, t => {
      const expected = table[status]![what];
      const { state, result } = steered(stateOf(status), what, 'ann', undefined, there, now + 1);
      if (expected === '-') t.is(result, 'refused');
      t.is(state.record.status, expected === '-' || expected === '=' ? status : (expected as UpdateStatus));
    });

for (const status of update_statuses)
  test(`${status}: an update that cannot be read becomes an error, unless it is over`, t => {
    if (active.includes(status)) t.is(unreadable(stateOf(status), 'why', now).state.record.status, 'ERROR');
    else t.throws(() => unreadable(stateOf(status), 'why', now), { message: /invalid transition/ });
  });

for (const status of active)
  test(`${status}: what happens to instances counts, and moves it on only while it rolls`, t => {
    const heard = [{ type: 'stumbled', index: 0, failed: true, why: 'it exited with 1' }] as const;
    const { state } = heardOf(stateOf(status), heard, there, now + 1);
    if (status === 'ROLLING_FORWARD') t.is(state.record.status, 'ROLLING_BACK');
    else if (status === 'ROLLING_BACK') t.is(state.record.status, 'FAILED');
    else {
      t.is(state.record.status, status);
      t.is(state.record.flights[0]?.failures, 1, 'and it is remembered');
      t.is(dueAt(state), undefined, 'nothing wakes it');
    }
  });

test('an instance that loses what it had reached is watched anew, and not blamed', t => {
  let state = heardOf(stateOf('ROLLING_FORWARD'), [{ type: 'ran', index: 0, at: now, failures: 0 }], there, now).state;
  t.is(dueAt(state), now + 45_000);
  const lost = { type: 'stumbled', index: 0, failed: false, why: 'unreachable' } as const;
  state = heardOf(state, [lost], there, now + 44_000).state;
  t.is(state.record.taken, 1);
  state = heardOf(state, [{ type: 'ran', index: 0, at: now + 50_000, failures: 0 }], there, now + 50_000).state;
  t.is(lookedAt(state, there, now + 94_999).state.record.taken, 1);
  const done = lookedAt(state, there, now + 95_000);
  t.is(done.state.record.taken, 2);
  t.deepEqual(
    done.acts.filter(act => act.type === 'bring'),
    [{ type: 'bring', index: 1 }],
  );
});

test('what was heard of an instance before a restart is heard again from its own count, once', t => {
  const how = { ...update_defaults, max_per_shard_failures: 2 };
  const flights = [{ index: 0, since: now, failures: 2 }];
  const state = stateOf('ROLLING_FORWARD', { how, flights });
  const same = heardOf(state, [{ type: 'ran', index: 0, at: now, failures: 2 }], there, now).state;
  t.is(same.record.status, 'ROLLING_FORWARD');
  const more = heardOf(state, [{ type: 'ran', index: 0, at: now, failures: 3 }], there, now).state;
  t.is(more.record.status, 'ROLLING_BACK', 'one more than it had written down');
});

test('the first step of a new update is told, and takes up the first of its instances', t => {
  const { state, acts } = begunUpdate(stateOf('ROLLING_FORWARD', { taken: 0, flights: [], events: 0 }), there, now);
  t.deepEqual(
    acts.map(act => act.type),
    ['note', 'note', 'bring'],
  );
  t.is(state.record.taken, 1);
});

test('whatever is done to it, an update goes by its table, holds to its size, and its way back is its way in reverse', t => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
    const found = { instances: 1 + below(8) };
    const after = job('new', 1 + below(8));
    const before = job(pick(['old', 'new']), found.instances);
    const made = planned(found, before, after, undefined);
    if (!('plan' in made)) throw new Error('irrelevant');
    const size = 1 + below(3);
    const strategy = pick([
      { type: 'queue', size },
      { type: 'batch', size },
      { type: 'batch', size, autopause: true },
      { type: 'variable-batch', sizes: [1, size] },
    ] as const);
    const how = {
      ...update_defaults,
      strategy,
      max_total_failures: below(3),
      max_per_shard_failures: below(2),
      rollback_on_failure: below(4) > 0,
      ...(below(3) === 0 ? { pulse_interval_ms: 120_000 } : {}),
    };
    let at = now;
    const first = how.pulse_interval_ms === undefined ? 'ROLLING_FORWARD' : 'ROLL_FORWARD_AWAITING_PULSE';
    let state: UpdateState = {
      record: recordOf({
        status: first,
        how,
        found,
        plan: made.plan,
        before: { job: before, version: 1 },
        after: { job: after, version: 2 },
        renewed: before.command !== after.command,
        taken: 0,
        flights: [],
        events: 0,
      }),
      running: new Map(),
    };
    const forward: number[] = [];
    const back: number[] = [];
    const gone = new Set<number>();
    const exists = (index: number) => !gone.has(index);
    const take = (next: ReturnType<typeof begunUpdate>) => {
      const was = state.record.status;
      const statuses = next.acts.flatMap(act =>
        act.type === 'note' && 'status' in act.event ? [act.event.status] : [],
      );
      let place = was;
      for (const status of statuses) {
        if (status !== place) t.true(update_transitions[place].includes(status), `seed ${seed}: ${place} -> ${status}`);
        place = status;
      }
      for (const act of next.acts)
        if (act.type === 'note' && 'index' in act.event) {
          if (act.event.action === 'INSTANCE_UPDATING') forward.push(act.event.index);
          if (act.event.action === 'INSTANCE_ROLLING_BACK') back.push(act.event.index);
        }
      state = next.state;
      const most = strategy.type === 'variable-batch' ? Math.max(...strategy.sizes) : strategy.size;
      t.true(
        state.record.flights.length <= most,
        `seed ${seed}: ${state.record.flights.length} on their way of ${most}`,
      );
    };
    take(begunUpdate(state, exists, at));
    for (let n = 0; n < 200 && active.includes(state.record.status); n++) {
      at += below(30_000);
      const flight = pick([...state.record.flights, undefined]);
      const fate = below(20);
      if (fate < 9 && flight !== undefined) {
        gone.add(flight.index);
        take(heardOf(state, [{ type: 'ran', index: flight.index, at, failures: 0 }], exists, at));
        gone.delete(flight.index);
      } else if (fate === 9 && flight !== undefined)
        take(heardOf(state, [{ type: 'stumbled', index: flight.index, failed: below(2) === 0, why: 'x' }], exists, at));
      else if (fate === 10) {
        const next = steered(state, pick(steerings.filter(what => what !== 'abort')), 'ann', undefined, exists, at);
        if (next.result !== 'refused') take(next);
      } else if (fate === 11 && state.record.status.endsWith('PAUSED'))
        take(steered(state, 'resume', 'ann', undefined, exists, at));
      else if (fate > 14 && how.pulse_interval_ms !== undefined)
        take(steered(state, 'pulse', 'ann', undefined, exists, at));
      else take(lookedAt(state, exists, at));
    }
    const whole = orderOf(made.plan);
    t.deepEqual(forward, whole.slice(0, forward.length), `seed ${seed}`);
    t.deepEqual(back, [...forward].reverse().slice(0, back.length), `seed ${seed}`);
    const shape = trimmed(shapeOf(state.record));
    if (state.record.status === 'ROLLED_FORWARD') {
      t.is(forward.length, whole.length);
      t.deepEqual(shape, { instances: after.instances }, `seed ${seed}: everything is new`);
    }
    if (state.record.status === 'ROLLED_BACK') {
      t.is(back.length, forward.length);
      t.deepEqual(shape, found, `seed ${seed}: everything is as it was found`);
    }
  }
});

test('a run in the middle of an update says of each instance whether it is to be there, and what it is to run', t => {
  const found = {
    instances: 4,
    without: rangesOf([1]),
    others: [{ job: job('odd'), version: 0, indexes: rangesOf([2]) }],
  };
  const plan = { create: rangesOf([1, 4]), change: rangesOf([0, 2, 3]), remove: [] };
  const look = (more: Partial<UpdateRecord>) => {
    const record = recordOf({ found, plan, after: { job: job('new', 5), version: 2 }, flights: [], ...more });
    const shape = shapeOf(record);
    const document = record.rolled === undefined ? record.after : { job: record.before.job, version: 3 };
    return Array.from({ length: shape.instances }, (_, index) => {
      if (!wants(shape, index)) return '-';
      const of = configOf(shape, index, document);
      return `${of.job.command} ${of.version}`;
    });
  };
  t.deepEqual(look({ taken: 0 }), ['old 1', '-', 'odd 0', 'old 1', '-']);
  t.deepEqual(look({ taken: 2 }), ['old 1', 'new 2', 'odd 0', 'old 1', 'new 2']);
  t.deepEqual(look({ taken: 4 }), ['new 2', 'new 2', 'new 2', 'old 1', 'new 2']);
  t.deepEqual(look({ taken: 4, rolled: 0 }), ['new 2', 'new 2', 'new 2', 'old 3', 'new 2']);
  t.deepEqual(look({ taken: 4, rolled: 1 }), ['new 2', 'new 2', 'odd 3', 'old 3', 'new 2']);
  t.deepEqual(look({ taken: 4, rolled: 4 }), ['old 3', '-', 'odd 3', 'old 3', '-']);
  t.deepEqual(nextUp(recordOf({ found, plan, taken: 4, rolled: 0, flights: [] })), [2]);
});
