// instance-table.test.ts: the table that instances run on: every cell of it tried, and laid beside what Aurora did.
//
// instance.test.ts has what a person expects of every message in every status; here the table itself is read. Each cell is
// driven through the machine, which must do what the cell says and nothing else. Then each row of Aurora's own table is looked
// up in ours: same, or decided otherwise for a reason that stands beside it.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { hear } from '../../actors/instance/hearing.ts';
import { type InstanceMessage, type InstanceState, instance, standingOf } from '../../actors/instance/instance.ts';
import {
  type Deed,
  deeds,
  type Happening,
  type Rule,
  ruleOf,
  type Standing,
  standings,
  table,
} from '../../actors/instance/instance-table.ts';
import { requirements } from '../../actors/instance/launch.ts';
import { taskId } from '../../actors/model/ids.ts';
import type { InstanceRecord } from '../../actors/model/records.ts';
import type { TaskStatus } from '../../mesos/protocol.ts';
import { jobOf, now, stateOf, times } from './support/lone-instance.ts';

const key = 'www/prod/hello/1.service.v1/0';
const move = instance(times);

const once = jobOf({ max_task_failures: 3 });
const service = jobOf({ service: true });
const called = jobOf({ async: true, max_task_failures: 3 });

const base = { attempt: 2, failures: 0, since: now - 1_000 };
const placed = { ...base, agent_id: 'S0', hostname: 'h0', version: 1 };
const ran = { ...placed, started_at: now - 500 };
const records: Readonly<Record<Standing, InstanceRecord | undefined>> = {
  new: undefined,
  pending: { status: 'pending', ...base },
  assigned: { status: 'assigned', ...placed },
  starting: { status: 'starting', ...placed },
  running: { status: 'running', ...ran },
  unreachable: { status: 'unreachable', ...ran },
  awaiting: { status: 'awaiting', ...ran },
  killing: { status: 'killing', ...ran, by: 'ann', replace: false },
  replacing: { status: 'killing', ...ran, by: 'ann', replace: true },
  over: { status: 'over', ...base, outcome: 'succeeded', reason: { code: 'exited', exit_code: 0 } },
};
/** The same, whose checks somebody wanted to pause. */
const asked = (record: InstanceRecord | undefined): InstanceRecord | undefined =>
  record === undefined || record.status === 'pending' || record.status === 'over'
    ? record
    : { ...record, snooze: { by: 'bob', since: now } };
const at = (record: InstanceRecord | undefined, job = once): InstanceState =>
  stateOf('1.service.v1', { type: 'once' }, job, record);

const update = (state: TaskStatus['state'], more: Partial<TaskStatus> = {}, attempt = 2): InstanceMessage => ({
  type: 'updated',
  status: {
    task_id: { value: taskId(key, attempt) },
    state,
    agent_id: { value: 'S0' },
    uuid: 'dXVpZA==',
    timestamp: now / 1000,
    ...more,
  },
});
const granted = (attempt: number): InstanceMessage => ({
  type: 'granted',
  granted: {
    group: 'g0',
    place: 0,
    task_id: taskId(key, attempt),
    agent_id: 'S1',
    hostname: 'h1',
    ports: {},
    matched: requirements('www/prod/hello', 1, once, times.executor).plan,
  },
});
const word = (status_code: number, attempt = 2): InstanceMessage => ({
  type: 'complete',
  envelope: {
    command: { type: 'complete-task', key: 'www/prod/hello', task_id: taskId(key, attempt), status_code },
    principal: { name: 'bob' },
    request_id: 'r1',
  },
});
const progress = (attempt: number): InstanceMessage => ({
  type: 'progress',
  envelope: {
    command: { type: 'progress', key: 'www/prod/hello', task_id: taskId(key, attempt), elements: 5 },
    principal: { name: 'bob' },
    request_id: 'r1',
  },
});
const kill = (replace: boolean, grace: boolean): InstanceMessage => ({ type: 'kill', by: 'bob', replace, grace });

/** What an executor reports of a task whose checks are snoozed, or not. */
const report = (snoozed_since: number | undefined) =>
  Buffer.from(
    JSON.stringify({ format: 1, stage: 'active', processes: [], ports: {}, health: { up: true, snoozed_since } }),
  ).toString('base64');

/** For each happening a message that is one, and the job for which it is. */
const samples: Readonly<Record<Happening, readonly [InstanceMessage, job?: typeof once]>> = {
  begun: [{ type: 'begin' }, service],
  'run begun': [{ type: 'begin' }],
  due: [{ type: 'due' }],
  'waited enough': [{ type: 'due' }, service],
  reconfigured: [{ type: 'reconfigured', job: once, version: 2 }],
  renewed: [{ type: 'reconfigured', job: once, version: 2, anew: true }],
  'nothing new': [update('TASK_KILLING')],
  granted: [granted(2)],
  'granted other': [granted(7)],
  dropped: [{ type: 'dropped', task_id: taskId(key, 2), why: 'test' }],
  kill: [kill(false, true)],
  'kill at once': [kill(false, false)],
  replace: [kill(true, true)],
  'replace at once': [kill(true, false)],
  snooze: [
    {
      type: 'snooze',
      envelope: {
        command: { type: 'snooze', key: 'www/prod/hello', index: 0 },
        principal: { name: 'bob' },
        request_id: 'r1',
      },
    },
  ],
  'snooze heard': [update('TASK_RUNNING', { data: report(now) })],
  'snooze unheard': [update('TASK_RUNNING', { data: report(undefined) })],
  starting: [update('TASK_STARTING')],
  running: [update('TASK_RUNNING')],
  'health changed': [update('TASK_RUNNING', { healthy: false })],
  finished: [update('TASK_FINISHED')],
  failed: [update('TASK_FAILED', { message: 'Command exited with status 3' })],
  killed: [update('TASK_KILLED')],
  'never started': [update('TASK_DROPPED')],
  gone: [update('TASK_GONE')],
  'service gone': [update('TASK_GONE'), service],
  'cut off': [update('TASK_UNREACHABLE')],
  'cut off, policy': [update('TASK_UNREACHABLE'), service],
  'a ghost': [update('TASK_RUNNING', {}, 1)],
  'out of time': [{ type: 'due' }, jobOf({ timeouts: { total_ms: 1 } })],
  'ran too long': [{ type: 'due' }, jobOf({ timeouts: { run_ms: 1 } })],
  'handed over': [update('TASK_FINISHED'), called],
  'called back': [word(0), called],
  'called back badly': [word(3), called],
  'called back ahead': [word(0), called],
  'call-back unawaited': [word(0, 1), called],
  progressed: [progress(2)],
  'progress of another': [progress(1)],
};

const has_place: readonly Standing[] = ['assigned', 'starting', 'running', 'unreachable'];
/** Where some can happen at all. */
const only: Partial<Record<Happening, readonly Standing[]>> = {
  'run begun': ['new'],
  'waited enough': ['unreachable'],
  'health changed': ['running'],
  'snooze heard': ['running'],
  'snooze unheard': ['running'],
  'out of time': ['pending', ...has_place, 'awaiting'],
  'ran too long': ['running', 'unreachable'],
  'called back': ['awaiting'],
  'called back badly': ['awaiting'],
  'called back ahead': has_place,
  progressed: [...has_place, 'awaiting', 'killing', 'replacing'],
};

/** Which deed an effect is. Some have several: how an attempt ended is also counted. */
function deedOf(effect: Effect): readonly Deed[] {
  switch (effect.type) {
    case 'record':
      if (effect.kind === 'audit') return [];
      return effect.kind === 'finished-attempt' ? ['note'] : ['save'];
    case 'reply':
      return ['reply'];
    case 'call':
      if (effect.call.type === 'ACKNOWLEDGE') return ['acknowledge'];
      if (effect.call.type === 'MESSAGE') return ['instruct'];
      return effect.call.type === 'KILL' && effect.call.kill.kill_policy === undefined ? ['banish'] : ['kill'];
    case 'tell':
      switch (`${effect.to} ${effect.message.type}`) {
        case 'placement withdrawn':
          return ['withdraw'];
        case 'placement wanted':
          return ['ask', 'go-on'];
        case 'timetable armed':
          return ['watch', 'ask', 'go-on'];
        case 'timetable disarmed':
          return ['disarm'];
        case 'offers answered':
          return effect.message.type === 'answered' && effect.message.answered[0]?.plan !== undefined
            ? ['accept']
            : ['decline'];
        case 'offers revoked':
          return ['revoke'];
        case 'job instance-running':
          return ['tell', 'report'];
        case 'job instance-stumbled':
          return ['report'];
        case 'job instance-over':
          return ['go-on'];
        default:
          throw new Error(`no deed is known for ${effect.to} ${effect.message.type}`);
      }
    default:
      return [];
  }
}

/** Deeds that may come to nothing: no timer to put off or to set, a job that was told before or need not know. */
const idle: readonly Deed[] = ['disarm', 'watch', 'tell', 'report'];

for (const what of Object.keys(table) as Happening[])
  test(`${what}: from everywhere it goes where the table says, and does in order what the table says`, t => {
    for (const standing of standings) {
      const [message, job] = samples[what];
      const before = at(what.startsWith('snooze ') ? asked(records[standing]) : records[standing], job);
      const heard = hear(before, message, now, times).what;
      // Nothing of the present attempt can be said of one that is not there; some things happen in one place only.
      if (heard !== what) {
        t.true(standing === 'new' || only[what]?.includes(standing) === false, `${standing}: heard as ${heard}`);
        continue;
      }
      const rule = ruleOf(what, standing);
      const after = move(before, message, now);
      const stands = standingOf(after.state.record);
      if (rule.to === undefined) t.is(after.state.record, before.record, `${standing}: as it was`);
      else if (rule.to === 'here') {
        t.is(stands, standing);
        t.not(after.state.record, before.record);
      } else if (rule.to === 'next') t.true(stands === 'pending' || stands === 'over', standing);
      else t.is(stands, rule.to, standing);

      const due = [...rule.deeds, ...(message.type === 'updated' ? (['acknowledge'] as const) : [])];
      const done = after.effects.map(deedOf).filter(which => which.length > 0);
      for (const deed of due) {
        if (done[0]?.includes(deed) === true) done.shift();
        else t.true(idle.includes(deed), `${standing}: ${deed} is done, in its turn`);
      }
      t.deepEqual(done, [], `${standing}: nothing else is done`);
    }
  });

test('deeds stand in every rule in the one order in which they are done', t => {
  for (const row of Object.values(table) as (readonly Rule[])[])
    for (const rule of row) {
      t.deepEqual(
        rule.deeds,
        deeds.filter(deed => rule.deeds.includes(deed)),
      );
      // That the instances of a run wait for their first place is said by its own record.
      const changes = rule.to !== undefined && rule !== ruleOf('run begun', 'new');
      t.is(changes, rule.deeds.includes('save'), 'what changes is saved, and nothing else is');
      t.is(rule.outcome === undefined, !rule.deeds.includes('note'), 'what ends is noted');
    }
});

/**
 * Aurora's transitions as its sources have them, in the letters of their order: F the failure is counted, S saved, R begun
 * again, L then lost, K killed, D deleted; (R) for services alone, (R*) within max_task_failures. Ours is asked for in the row
 * that such a transition comes from: an update of Mesos, or a request.
 */
const aurora = `
from         | to         | does     | here
INIT         | PENDING    | S        | new, begun
PENDING      | ASSIGNED   | S        | pending, granted
PENDING      | KILLING    | D        | pending, kill             | saved as over, and deleted with its run
ASSIGNED     | STARTING   | S        | assigned, starting
ASSIGNED     | RUNNING    | S        | assigned, running
ASSIGNED     | FINISHED   | S(R)     | assigned, finished
ASSIGNED     | FAILED     | F S(R*)  | assigned, failed
ASSIGNED     | KILLED     | S R      | assigned, killed
ASSIGNED     | LOST       | S R K    | assigned, never started   | surely nothing was launched: there is nothing to kill
ASSIGNED     | KILLING    | S K      | assigned, kill            | after its launch, which perhaps is kept back
ASSIGNED     | RESTARTING | S K      | assigned, replace         | likewise
STARTING     | RUNNING    | S        | starting, running
STARTING     | FINISHED   | S(R)     | starting, finished
STARTING     | FAILED     | F S(R*)  | starting, failed
STARTING     | KILLED     | S R      | starting, killed
STARTING     | LOST       | S R      | starting, never started
STARTING     | KILLING    | S K      | starting, kill
STARTING     | RESTARTING | S K      | starting, replace
STARTING     | PARTITIONED| S        | starting, cut off
RUNNING      | FINISHED   | S(R)     | running, finished
RUNNING      | FAILED     | F S(R*)  | running, failed
RUNNING      | KILLED     | S R      | running, killed
RUNNING      | LOST       | S R      | running, never started
RUNNING      | KILLING    | S K      | running, kill
RUNNING      | RESTARTING | S K      | running, replace
RUNNING      | PARTITIONED| S        | running, cut off
RESTARTING   | FINISHED   | S R      | replacing, finished
RESTARTING   | FAILED     | S R      | replacing, failed
RESTARTING   | KILLED     | S R      | replacing, killed
RESTARTING   | LOST       | S R K    | replacing, gone           | nobody has it any more: there is nothing to kill
RESTARTING   | KILLING    | S        | replacing, kill
RESTARTING   | PARTITIONED| S L      | replacing, cut off, policy
KILLING      | FINISHED   | S        | killing, finished
KILLING      | FAILED     | S        | killing, failed
KILLING      | KILLED     | S        | killing, killed
KILLING      | LOST       | S        | killing, gone
KILLING      | PARTITIONED| S L      | killing, cut off, policy
PARTITIONED  | RUNNING    | S        | unreachable, running
PARTITIONED  | STARTING   | S        | unreachable, starting
PARTITIONED  | FINISHED   | S        | unreachable, finished     | a service is replaced, as from everywhere else
PARTITIONED  | FAILED     | F S(R*)  | unreachable, failed
PARTITIONED  | LOST       | S R K    | unreachable, waited enough
PARTITIONED  | KILLING    | S L      | unreachable, kill         | the kill is asked for until it is confirmed
PARTITIONED  | RESTARTING | S L      | unreachable, replace      | likewise
KILLING      | RUNNING    | K        | killing, running
RESTARTING   | RUNNING    | K        | replacing, running
FINISHED     | RUNNING    | K        | over, running
FINISHED     | STARTING   | K        | over, starting
unknown      | RUNNING    | K        | running, a ghost
ASSIGNED     | PARTITIONED| illegal  | assigned, cut off         | an agent can be cut off before its task says a word
PARTITIONED  | KILLED     | illegal  | unreachable, killed       | killed by others where we could not see: begun again
`;

/** What a rule does, in Aurora's letters. */
function letters({ to, outcome, deeds: does }: Rule): string {
  const saved = does.includes('save') ? 'S' : '';
  const killed = does.some(deed => deed === 'kill' || deed === 'banish') ? 'K' : '';
  if (outcome === 'finished') return 'S(R)';
  if (outcome === 'failed') return 'F S(R*)';
  if (outcome === 'lost') return ['S', 'R', killed].filter(Boolean).join(' ');
  if (to === 'pending' && !does.includes('accept') && does.includes('disarm')) return 'S R';
  return [saved, killed].filter(Boolean).join(' ');
}

for (const line of aurora.trim().split('\n').slice(1)) {
  const [from, to, does, here, otherwise] = line.split('|').map(cell => cell.trim());
  test(`Aurora's ${from} to ${to}: ${otherwise === undefined ? 'the same here' : `otherwise here: ${otherwise}`}`, t => {
    const [standing, ...what] = here!.split(', ');
    const rule = ruleOf(what.join(', ') as Happening, standing as Standing);
    const done = letters(rule);
    // Of one that is being killed all ends are the same rule, which asks the record whether another was wanted.
    const ours =
      rule.outcome !== 'killed' ? done : `S${standing === 'replacing' ? ' R' : ''}${does!.includes('L') ? ' L' : ''}`;
    const theirs = standing === 'replacing' ? does!.replace('S L', 'S R L') : does!;
    if (otherwise === undefined) t.is(ours, theirs);
    else t.not(ours, theirs, 'a reason without a difference');
  });
}
