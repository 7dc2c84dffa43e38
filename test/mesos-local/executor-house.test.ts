// executor-house.test.ts: whatever happens in the house, what is written down is what is known, and nothing is told twice.
//
// Seeded lives of executors: launches, kills, updates, subscriptions, ends and signatures in any order. After each step a
// second house is made of the notes alone, as after a crash at that very moment.

import test from 'ava';
import fc from 'fast-check';
import { transition } from '../../mesos/local/executor-house.ts';
import { type ExecutorNote, emptyMemory, notesOf, remember, settle } from '../../mesos/local/executor-notes.ts';
import {
  createHouse,
  type HouseInput,
  type HouseOutput,
  house_defaults,
  keyOf,
} from '../../mesos/local/executor-state.ts';
import { resourcesFor } from '../../mesos/local/index.ts';
import { type ExecutorInfo, type TaskInfo, type TaskStatus, terminal_states } from '../../mesos/protocol.ts';

const framework = { user: 'root', name: 'f', checkpoint: true, capabilities: [{ type: 'PARTITION_AWARE' }] };
const infoOf = (id: string): ExecutorInfo => ({
  type: 'CUSTOM',
  executor_id: { value: id },
  command: { value: 'true' },
});
const taskOf = (id: string): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'a' },
  resources: [],
});

function world() {
  let ids = 0;
  const uuid = () => Buffer.from(`0000000000${String(ids++).padStart(6, '0')}`).toString('base64');
  const options = {
    ...house_defaults,
    agent: { id: 'a', hostname: 'here', resources: resourcesFor({ cpus: 1, mem: 1 }) },
    port: 1,
    boot: 'b',
    newId: () => `c-${ids++}`,
    newUuid: uuid,
  };
  const house = createHouse(options);
  const notes: ExecutorNote[] = [];
  const outputs: HouseOutput[] = [];
  let now = 1_000;
  return {
    house,
    outputs,
    uuid,
    do(input: HouseInput) {
      const came = transition(house, input, now++);
      notes.push(...came.flatMap(output => (output.type === 'note' ? output.notes : [])));
      outputs.push(...came);
      return came;
    },
    /** Everything that the notes say, in as few words as it takes. */
    remembered(told: Iterable<ExecutorNote> = notes) {
      const memory = emptyMemory();
      for (const note of told) remember(memory, note);
      const again = createHouse(options);
      settle(again, memory);
      return again;
    },
  };
}
const lines = (told: Iterable<ExecutorNote>) => [...told].map(note => JSON.stringify(note)).sort();

/** One thing that may happen, of which some make no sense at the moment. */
const happening = fc.record({
  what: fc.constantFrom('launch', 'group', 'subscribe', 'update', 'kill', 'exit', 'sign', 'shutdown', 'close'),
  executor: fc.integer({ min: 0, max: 2 }),
  task: fc.integer({ min: 0, max: 9 }),
  state: fc.constantFrom('TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED'),
  again: fc.boolean(),
});

test('after any history the notes give back what is known, and so do the notes made of that', t => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), history => {
      const { house, do: happen, uuid, remembered, outputs } = world();
      const said = new Map<string, string>();
      let launched = 0;
      for (const { what, executor, task, state, again } of history) {
        const executor_id = { value: `e-${executor}` };
        const framework_id = { value: 'f' };
        const ids = { framework_id: 'f', executor_id: executor_id.value };
        const id = `t-${task % Math.max(1, launched)}`;
        const run = house.executors.get(keyOf('f', executor_id.value));
        if (what === 'launch' || what === 'group') {
          const tasks = what === 'group' ? [launched++, launched++] : [launched++];
          happen({
            type: 'launch',
            framework_id: 'f',
            framework,
            executor: infoOf(executor_id.value),
            tasks: tasks.map(number => taskOf(`t-${number}`)),
            group: what === 'group',
          });
        } else if (what === 'subscribe')
          happen({
            type: 'call',
            stream: uuid(),
            call: {
              type: 'SUBSCRIBE',
              framework_id,
              executor_id,
              subscribe: {
                unacknowledged_tasks: again ? [...(run?.live.values() ?? [])].map(({ info }) => info) : [],
                unacknowledged_updates: [],
              },
            },
          });
        else if (what === 'update') {
          const key = again ? (said.get(id) ?? uuid()) : uuid();
          said.set(id, key);
          const status = { task_id: { value: id }, state, source: 'SOURCE_EXECUTOR', uuid: key } as TaskStatus;
          happen({
            type: 'call',
            stream: '',
            call: { type: 'UPDATE', framework_id, executor_id, update: { status } },
          });
        } else if (what === 'kill') happen({ type: 'kill', framework_id: 'f', task_id: id });
        else if (what === 'exit' && run !== undefined)
          happen({ type: 'exited', container_id: run.container_id, status: 0 });
        else if (what === 'shutdown') happen({ type: 'shutdown', ...ids, framework_over: false });
        else if (what === 'close' && run?.stream !== undefined) happen({ type: 'stream-closed', stream: run.stream });
        else if (what === 'sign') {
          const first = house.tasks.get(keyOf('f', id))?.pending[0];
          if (first?.uuid !== undefined)
            happen({ type: 'acknowledge', framework_id: 'f', task_id: id, uuid: first.uuid });
        }
        const known = lines(notesOf(house));
        t.deepEqual(lines(notesOf(remembered())), known);
        t.deepEqual(lines(notesOf(remembered(notesOf(house)))), known);
      }
      // Every task that was taken in ends once at most, and nothing is told of it after its end.
      const ended = new Set<string>();
      const uuids = new Set<string>();
      for (const output of outputs) {
        if (output.type !== 'updates') continue;
        for (const { status, stray } of output.updates) {
          if (stray === true) continue;
          t.false(ended.has(status.task_id.value), 'an update after the last');
          t.false(uuids.has(status.uuid ?? ''), 'the same update again');
          uuids.add(status.uuid ?? '');
          if (terminal_states.has(status.state)) ended.add(status.task_id.value);
        }
      }
      // Whoever has no executor any more has been told of.
      for (const task of house.tasks.values())
        t.true(task.ended || house.executors.get(keyOf('f', task.executor.id)) === task.executor);
      // No task is handed over twice.
      const handed = outputs
        .flatMap(output => (output.type === 'events' ? output.events : []))
        .flatMap(event =>
          event.type === 'LAUNCH'
            ? [event.launch.task.task_id.value]
            : event.type === 'LAUNCH_GROUP'
              ? event.launch_group.task_group.tasks.map(({ task_id }) => task_id.value)
              : [],
        );
      t.is(new Set(handed).size, handed.length);
    }),
    { numRuns: 300 },
  );
});

test('an update that is said again after everything was signed for is known for what it is, after a restart too', t => {
  const { do: happen, remembered, house } = world();
  const ids = { framework_id: { value: 'f' }, executor_id: { value: 'e' } };
  const subscribe = { unacknowledged_tasks: [], unacknowledged_updates: [] };
  happen({ type: 'launch', framework_id: 'f', framework, executor: infoOf('e'), tasks: [taskOf('t')], group: false });
  happen({ type: 'call', stream: 's', call: { type: 'SUBSCRIBE', ...ids, subscribe } });
  const uuid = 'MDAwMDAwMDAwMDAwMDAwMQ==';
  const status = { task_id: { value: 't' }, state: 'TASK_FINISHED', source: 'SOURCE_EXECUTOR', uuid } as const;
  happen({ type: 'call', stream: '', call: { type: 'UPDATE', ...ids, update: { status } } });
  happen({ type: 'acknowledge', framework_id: 'f', task_id: 't', uuid });
  const again = remembered(notesOf(house));
  const came = transition(
    again,
    {
      type: 'call',
      stream: 's2',
      call: { type: 'SUBSCRIBE', ...ids, subscribe: { ...subscribe, unacknowledged_updates: [{ status }] } },
    },
    9_000,
  );
  t.deepEqual(
    came.filter(({ type }) => type === 'updates'),
    [],
  );
  t.deepEqual(
    came.flatMap(output => (output.type === 'events' ? output.events.map(({ type }) => type) : [])),
    ['SUBSCRIBED', 'ACKNOWLEDGED'],
  );
});
