// launches.ts: an ACCEPT, from the offers it spends to the orders that agents get.
//
// Each task is looked at alone, in the order given, against what is left of the offers: one bad task is told so in
// Mesos's words and the others go on. A group stands or falls together. What nobody used goes back, refused for a while.

import type { Call, ExecutorInfo, Resource, TaskInfo } from '../protocol.ts';
import { refuse } from './allocation.ts';
import {
  type Amount,
  add,
  addTo,
  amountOf,
  contains,
  deduct,
  nothing,
  type Purse,
  purseOf,
  textOf,
  thousandthsOf,
} from './amounts.ts';
import {
  type Agent,
  type Executor,
  type Framework,
  keyOf,
  order,
  release,
  sayStatus,
  stateFor,
  type Task,
  type Turn,
  withdraw,
} from './master-state.ts';
import type { Launch } from './messages.ts';
import { convert } from './operations.ts';
import { wrongCommand, wrongExecutor, wrongInGroup, wrongWith } from './validation.ts';

type Accept = Extract<Call, { type: 'ACCEPT' }>['accept'];
type LaunchGroup = Extract<Accept['operations'][number], { type: 'LAUNCH_GROUP' }>['launch_group'];

/** The pool that an ACCEPT spends: the sum of its offers, all of one agent. */
export type Pool = { readonly agent: Agent; readonly role: string; readonly left: Purse };

export function accept(turn: Turn, framework: Framework, accept: Accept): void {
  const gathered = gather(turn, framework, accept);
  if (!gathered.ok) {
    for (const task of accept.operations.flatMap(tasksOf))
      sayStatus(turn, framework, {
        task_id: task.task_id,
        state: stateFor(framework, 'TASK_DROPPED'),
        message: `Task launched with invalid offers: ${gathered.message}`,
        reason: 'REASON_INVALID_OFFERS',
        agent_id: task.agent_id,
      });
    return;
  }
  const { pool } = gathered;
  for (const operation of accept.operations)
    if (operation.type === 'LAUNCH') launch(turn, framework, pool, operation.launch.task_infos);
    else if (operation.type === 'LAUNCH_GROUP') launchGroup(turn, framework, pool, operation.launch_group);
    else convert(turn, framework, pool, operation);
  refuse(turn, framework, pool.role, pool.agent, pool.left, accept.filters);
}

function tasksOf(operation: Accept['operations'][number]): readonly TaskInfo[] {
  if (operation.type === 'LAUNCH') return operation.launch.task_infos;
  if (operation.type === 'LAUNCH_GROUP') return operation.launch_group.task_group.tasks;
  return [];
}

/** Takes every offer named off the table. When one of them is not right none is spent, and all go back. */
function gather(
  turn: Turn,
  framework: Framework,
  { offer_ids }: Accept,
): { ok: true; pool: Pool } | { ok: false; message: string } {
  let pool: Pool | undefined;
  let message = offer_ids.length === 0 ? 'No offers specified' : undefined;
  const back: { agent: Agent; amount: Amount }[] = [];
  for (const { value } of offer_ids) {
    const offer = turn.master.offers.get(value);
    if (offer?.framework !== framework) {
      message ??= `Offer ${value} is no longer valid`;
      continue;
    }
    back.push({ agent: offer.agent, amount: withdraw(turn, offer) });
    if (pool === undefined) pool = { agent: offer.agent, role: offer.role, left: purseOf(offer.amount) };
    else if (pool.agent !== offer.agent)
      message ??=
        'Aggregated offers must belong to one single agent. ' +
        `Offer ${value} uses agent ${offer.agent.info.id} and agent ${pool.agent.info.id}`;
    else if (pool.role !== offer.role)
      message ??=
        'Aggregated offers must be allocated to the same role. ' +
        `Offer ${value} uses role '${offer.role}' but another is being used for '${pool.role}'`;
    else addTo(pool.left, offer.amount);
  }
  if (message === undefined && pool !== undefined) return { ok: true, pool };
  for (const { agent, amount } of back) release(turn, agent, amount);
  return { ok: false, message: message ?? 'No offers specified' };
}

function launch(turn: Turn, framework: Framework, pool: Pool, tasks: readonly TaskInfo[]): void {
  const { agent } = pool;
  let launches: Launch[] = [];
  /** Tasks reach the agent in the order in which they were named, whoever runs them. */
  const send = () => {
    if (launches.length > 0) order(turn, agent, { type: 'launch', framework_id: framework.id, launches });
    launches = [];
  };
  for (const task of tasks) {
    if (task.executor !== undefined && task.command === undefined) {
      send();
      launchOnExecutor(turn, framework, pool, task, task.executor);
      continue;
    }
    const amount = amountOf(task.resources);
    const message =
      wrongWith(framework, agent, task) ??
      wrongCommand(task) ??
      (amount.ok ? wrongAmount(pool, amount.amount, task) : amount.message);
    if (message !== undefined || !amount.ok) {
      refuseTask(turn, framework, task, 'REASON_TASK_INVALID', message ?? '');
      continue;
    }
    deduct(pool.left, amount.amount);
    enter(framework, agent, task, amount.amount, task.task_id.value, undefined);
    launches.push({ task, executor_id: task.task_id.value });
  }
  send();
}

/** What was allocated to one role is nothing that a task of another can have. */
function wrongAmount(pool: Pool, amount: Amount, { resources }: TaskInfo): string | undefined {
  let role = pool.role;
  for (const { allocation_info } of resources)
    if (allocation_info !== undefined && allocation_info.role !== pool.role) role = allocation_info.role;
  if (role === pool.role && contains(pool.left, amount)) return undefined;
  return (
    `Total resources ${textOf(amount, role)} required by task and its executor ` +
    `is more than available ${textOf(pool.left, pool.role)}`
  );
}

/** A task for an executor of the framework's own, which is booked with the first of its tasks. */
function launchOnExecutor(turn: Turn, framework: Framework, pool: Pool, task: TaskInfo, executor: ExecutorInfo): void {
  const { agent } = pool;
  const running = agent.executors.get(keyOf(framework.id, executor.executor_id.value));
  const own = amountOf(executor.resources ?? []);
  const amount = amountOf(task.resources);
  const message =
    wrongWith(framework, agent, task) ??
    wrongExecutor(executor, framework.id, running, 'task') ??
    (own.ok ? undefined : own.message) ??
    (amount.ok ? undefined : amount.message);
  const total =
    own.ok && amount.ok ? (running === undefined ? add(amount.amount, own.amount) : amount.amount) : nothing;
  const refusal = message ?? wrongAmount(pool, total, task);
  if (refusal !== undefined || !own.ok || !amount.ok) {
    refuseTask(turn, framework, task, 'REASON_TASK_INVALID', refusal ?? '');
    return;
  }
  deduct(pool.left, total);
  const holder = running ?? holderOf(agent, framework, executor, own.amount);
  enter(framework, agent, task, amount.amount, holder.id, holder);
  orderOnExecutor(turn, framework, pool, executor, [task], false);
}

/** Tells an agent what its executor is to run, with everything in it that the framework may leave out. */
function orderOnExecutor(
  turn: Turn,
  framework: Framework,
  pool: Pool,
  info: ExecutorInfo,
  tasks: readonly TaskInfo[],
  group: boolean,
): void {
  const allocated = (resources: readonly Resource[]) =>
    resources.map(resource => ({ ...resource, allocation_info: { role: pool.role } }));
  const executor = {
    ...info,
    framework_id: { value: framework.id },
    ...(info.resources === undefined ? {} : { resources: allocated(info.resources) }),
  };
  order(turn, pool.agent, {
    type: 'launch-on-executor',
    framework_id: framework.id,
    framework: framework.info ?? unknown_framework,
    executor,
    tasks: tasks.map(task => ({ ...task, resources: allocated(task.resources), executor })),
    group,
  });
}
/** Nobody launches who has not subscribed, and whoever subscribes says who he is. */
const unknown_framework = { user: '', name: '' };

function launchGroup(turn: Turn, framework: Framework, pool: Pool, { executor, task_group }: LaunchGroup): void {
  const { tasks } = task_group;
  const amounts: Amount[] = [];
  let total: Amount = nothing;
  const running = pool.agent.executors.get(keyOf(framework.id, executor.executor_id.value));
  const own = amountOf(executor.resources ?? []);
  let message = wrongExecutor(executor, framework.id, running, 'group');
  if (message === undefined && !own.ok) message = own.message;
  const own_amount = own.ok ? own.amount : nothing;
  if (message === undefined && running === undefined) {
    for (const name of ['cpus', 'mem', 'disk'])
      if (thousandthsOf(own_amount, name) === 0) message ??= `Executor '${executor.executor_id.value}' uses no ${name}`;
    total = own_amount;
  }
  const ids = new Set<string>();
  for (const task of tasks) {
    const amount = amountOf(task.resources);
    message ??= wrongWith(framework, pool.agent, task) ?? wrongInGroup(task, ids, executor.type);
    ids.add(task.task_id.value);
    if (!amount.ok) message ??= amount.message;
    else {
      amounts.push(amount.amount);
      total = add(total, amount.amount);
    }
  }
  if (message === undefined && tasks.length === 0) return;
  if (message === undefined && !contains(pool.left, total))
    message =
      `Total resources ${textOf(total, pool.role)} required by task group and its executor ` +
      `are more than available ${textOf(pool.left, pool.role)}`;
  if (message !== undefined) {
    for (const task of tasks) refuseTask(turn, framework, task, 'REASON_TASK_GROUP_INVALID', message);
    return;
  }
  deduct(pool.left, total);
  const holder = running ?? holderOf(pool.agent, framework, executor, own_amount);
  const launches = tasks.map((task, index): Launch => {
    enter(framework, pool.agent, task, amounts[index]!, holder.id, holder);
    return { task, executor_id: holder.id, executor };
  });
  if (holder.custom) orderOnExecutor(turn, framework, pool, executor, tasks, true);
  else order(turn, pool.agent, { type: 'launch', framework_id: framework.id, launches });
}

/** Writes an executor into the agent's book; a returning agent's tasks bring theirs back by the same door. */
export function holderOf(agent: Agent, framework: Framework, info: ExecutorInfo, amount: Amount): Executor {
  const key = keyOf(framework.id, info.executor_id.value);
  const known = agent.executors.get(key);
  if (known !== undefined) return known;
  const executor = {
    id: info.executor_id.value,
    framework,
    amount,
    info,
    custom: info.type !== 'DEFAULT',
    tasks: new Set<Task>(),
  };
  agent.executors.set(key, executor);
  return executor;
}

/** Writes a task into the books of its framework, its agent and its executor. */
export function enter(
  framework: Framework,
  agent: Agent,
  info: Pick<TaskInfo, 'task_id'>,
  amount: Amount,
  executor_id: string,
  executor: Executor | undefined,
): Task {
  const task: Task = {
    id: info.task_id.value,
    framework,
    agent,
    amount,
    executor_id,
    executor,
    acknowledged: 'TASK_STAGING',
    pending: [],
    sent: 0,
    ended: false,
  };
  framework.tasks.set(task.id, task);
  agent.tasks.set(keyOf(framework.id, task.id), task);
  executor?.tasks.add(task);
  return task;
}

function refuseTask(turn: Turn, framework: Framework, task: TaskInfo, reason: string, message: string): void {
  const { task_id, agent_id } = task;
  sayStatus(turn, framework, { task_id, state: 'TASK_ERROR', message, reason, agent_id });
}
