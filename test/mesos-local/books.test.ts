// books.test.ts: whatever frameworks, agents and operators do, the master's books stay straight.
//
// Hundreds of afternoons drawn from seeds: several frameworks of several kinds do everything that a framework can, in no
// sensible order, while agents come and go. After every step each thousandth of a cpu is in exactly one place.

import test from 'ava';
import type { Call, ExecutorInfo, Offer, Operation, Resource, TaskInfo } from '../../mesos/protocol.ts';
import { dice, faultsOf } from './support/books.ts';
import { glass, subscription } from './support/glass.ts';

const seeds = Number(process.env.HORAE_TEST_SEEDS ?? 60);
const steps = 150;

const reservation = { type: 'DYNAMIC', role: 'db', principal: 'p' } as const;
const cpus = (value: number, more: Partial<Resource> = {}): Resource => ({
  name: 'cpus',
  type: 'SCALAR',
  scalar: { value },
  ...more,
});
const mem: Resource = { name: 'mem', type: 'SCALAR', scalar: { value: 64 } };
const disk: Resource = { name: 'disk', type: 'SCALAR', scalar: { value: 10 } };

type Seen = Map<string, number>;

async function afternoon(seed: number, seen: Seen): Promise<string[]> {
  const roll = dice(seed);
  const upTo = (count: number) => Math.floor(roll() * count);
  const one = <T>(list: readonly T[]): T | undefined => list[upTo(list.length)];
  const { mesos, pass, framework } = glass({
    agents: 3,
    life: () => ({
      start_delay_ms: upTo(200),
      ...(roll() < 0.8 ? { duration_ms: upTo(5_000) } : {}),
      exit: { code: roll() < 0.7 ? 0 : 1 },
      ...(roll() < 0.7 ? { term_ms: upTo(500) } : {}),
      ...(roll() < 0.1 ? { refused: 'no' } : {}),
    }),
    master: {
      allocation_interval_ms: one([0, 1_000]) ?? 0,
      offer_timeout_ms: one([0, 7_000]) ?? 0,
      agent_timeout_ms: 10_000,
    },
  });
  const kinds = [
    { roles: ['*'] },
    { roles: ['db', 'web'] },
    { roles: ['db'], checkpoint: false },
    { roles: ['web'], failover_timeout: 3 },
  ];
  const refined = [
    { type: 'MULTI_ROLE' },
    { type: 'RESERVATION_REFINEMENT' },
    { type: 'PARTITION_AWARE' },
    { type: 'TASK_KILLING_STATE' },
  ];
  const frameworks = kinds.map(kind => ({ kind, end: framework(), lives: 0 }));
  const subscribe = (which: (typeof frameworks)[number]) =>
    which.end.subscribe(
      subscription(`${which.kind.roles.join('-')}-${which.lives}`, { ...which.kind, capabilities: refined }),
    );
  for (const which of frameworks) await subscribe(which);
  let tasks = 0;
  const taskFor = (offer: Offer, more: Partial<TaskInfo> = {}): TaskInfo => ({
    name: 't',
    task_id: { value: `t${roll() < 0.95 ? tasks++ : upTo(tasks + 1)}` },
    agent_id: offer.agent_id,
    resources: [cpus(0.1 + upTo(20) / 10, roll() < 0.2 ? { reservations: [reservation] } : {}), mem],
    command: { value: 'x' },
    ...more,
  });
  const executor = (type: 'DEFAULT' | 'CUSTOM'): ExecutorInfo => ({
    type,
    executor_id: { value: `e${upTo(4)}-${type}` },
    resources: [cpus(0.1), mem, disk],
    ...(type === 'CUSTOM' ? { command: { value: 'x' } } : {}),
  });
  const operationFor = (offer: Offer): Operation => {
    const grain = cpus(1, { reservations: [reservation] });
    const volume: Resource = {
      ...disk,
      reservations: [reservation],
      disk: { persistence: { id: `v${upTo(3)}` }, volume: { mode: 'RW', container_path: 'd' } },
    };
    const id = { value: `o${upTo(50)}` };
    const group = executor(one(['DEFAULT', 'CUSTOM'] as const)!);
    const members = [taskFor(offer), taskFor(offer)];
    return one<Operation>([
      { type: 'LAUNCH', launch: { task_infos: [taskFor(offer), taskFor(offer)] } },
      {
        type: 'LAUNCH',
        launch: { task_infos: [{ ...taskFor(offer), command: undefined, executor: executor('CUSTOM') } as TaskInfo] },
      },
      { type: 'LAUNCH_GROUP', launch_group: { executor: group, task_group: { tasks: members } } },
      { type: 'RESERVE', id, reserve: { resources: [grain, { ...disk, reservations: [reservation] }] } },
      { type: 'UNRESERVE', id, unreserve: { resources: [grain] } },
      { type: 'CREATE', id, create: { volumes: [volume] } },
      { type: 'DESTROY', id, destroy: { volumes: [volume] } },
    ])!;
  };
  const tearDown = (which: (typeof frameworks)[number]) => {
    which.lives++;
    return which.end.call({ type: 'TEARDOWN' });
  };
  const step = async (): Promise<void> => {
    const which = one(frameworks)!;
    const { end } = which;
    const offers = end.offers().slice(-4);
    const filters = { refuse_seconds: one([0, 0.5, 5]) ?? 0 };
    const agents = [one(mesos.agents.ids)!];
    const call = (call: Call) => end.call(call);
    const told = end.statuses().at(-1 - upTo(5));
    const acts: (() => unknown)[] = [
      () => call({ type: 'DECLINE', decline: { offer_ids: offers.map(({ id }) => id), filters } }),
      () => call({ type: 'SUPPRESS' }),
      () => call({ type: 'REVIVE' }),
      () => end.acknowledgeAll(),
      () => told && call({ type: 'KILL', kill: { task_id: told.task_id } }),
      () => told && call({ type: 'RECONCILE', reconcile: { tasks: [] } }),
      () =>
        call({
          type: 'SHUTDOWN',
          shutdown: { executor_id: executor('CUSTOM').executor_id, agent_id: { value: agents[0]! } },
        }),
      () => pass(upTo(4_000)),
      () => end.link.cut(),
      () => subscribe(which),
      () => mesos.agents.lose(agents[0]!, { reboot: roll() < 0.3 }),
      () => mesos.agents.restore(agents[0]!),
      () => roll() < 0.1 && tearDown(which),
      () => mesos.host.operate({ type: one(['drain', 'reactivate'] as const)!, agents }),
      () =>
        mesos.host.operate({
          type: 'maintain',
          agents,
          ...(roll() < 0.5 ? { unavailability: { start: { nanoseconds: 1 } } } : {}),
        }),
    ];
    const accepting = () => {
      const offer = offers.at(-1);
      if (offer === undefined) return undefined;
      const offer_ids = roll() < 0.8 ? [offer.id] : offers.map(({ id }) => id);
      const operations = Array.from({ length: 1 + upTo(3) }, () => operationFor(offer));
      return call({ type: 'ACCEPT', accept: { offer_ids, operations, filters } });
    };
    await (roll() < 0.4 ? accepting() : one(acts)!());
    await pass(upTo(2) * 100);
  };
  for (let at = 0; at < steps; at++) {
    await step();
    const faults = faultsOf(mesos.host.master);
    if (faults.length > 0) return [`seed ${seed}, step ${at}:`, ...faults];
  }
  for (const { end } of frameworks)
    for (const event of end.events) {
      const what =
        event.type === 'UPDATE'
          ? event.update.status.state
          : event.type === 'UPDATE_OPERATION_STATUS'
            ? event.update_operation_status.status.state
            : event.type;
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
  return [];
}

/** If one of these never happened the afternoons were too quiet to say anything. */
const lively = [
  'OFFERS',
  'RESCIND',
  'INVERSE_OFFERS',
  'RESCIND_INVERSE_OFFER',
  'FAILURE',
  'ERROR',
  'OPERATION_FINISHED',
  'OPERATION_ERROR',
  ...['RUNNING', 'FINISHED', 'FAILED', 'KILLED', 'ERROR', 'DROPPED', 'LOST', 'GONE', 'UNREACHABLE'].map(
    state => `TASK_${state}`,
  ),
];

test(`${seeds} afternoons of everything at once leave the books straight (HORAE_TEST_SEEDS for more)`, async t => {
  const seen: Seen = new Map();
  for (let seed = 1; seed <= seeds; seed++) {
    const faults = await afternoon(seed, seen);
    t.deepEqual(faults, []);
  }
  t.deepEqual(
    lively.filter(what => !seen.has(what)),
    [],
  );
  t.log(Object.fromEntries(seen));
});
