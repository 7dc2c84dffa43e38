// rebuilt.ts: what the recorded client asked for, asked by our driver.
//
// Out of a recorded call is taken what was wanted (which tasks, which offers, how much, how long), as a person would tell it.
// Our driver is given that, and the offers as they were recorded, and makes its own call of it.

import {
  acceptInverseOffersCall,
  declineCall,
  declineInverseOffersCall,
  killCall,
  messageCall,
  reconcileAllCall,
  reconcileCall,
  reconcileOperationsCall,
  reviveCall,
  shutdownCall,
  suppressCall,
  type TaskAt,
  teardownCall,
  updateFrameworkCall,
} from '../../../mesos/calls.ts';
import { hostsOf } from '../../../mesos/hosts.ts';
import { type LaunchPlan, type Matched, match } from '../../../mesos/match.ts';
import {
  createOperation,
  destroyOperation,
  operateCall,
  reserveOperation,
  unreserveOperation,
} from '../../../mesos/operations.ts';
import type { Call, Event, Id, Offer, Operation, Resource, TaskInfo } from '../../../mesos/protocol.ts';
import { persistentVolume, reserved, unreserved, volumesIn } from '../../../mesos/reservations.ts';
import { quantitiesOf, stockOf, take } from '../../../mesos/resources.ts';
import { acceptCall, byHost, taskInfo } from '../../../mesos/task-info.ts';

type Recorded = Call & { readonly framework_id: Id };
type Accept = Extract<Recorded, { type: 'ACCEPT' }>;

/** Our call for what this recorded one wanted. */
export function rebuilt(call: Recorded, events: readonly Event[]): Call {
  switch (call.type) {
    case 'TEARDOWN':
      return teardownCall();
    case 'ACCEPT':
      return call.accept.operations.every(({ type }) => type === 'LAUNCH' || type === 'LAUNCH_GROUP')
        ? onlyOne(matchedAsRecorded(call, events).calls)
        : operated(call, events);
    case 'DECLINE':
      return declineCall(call.decline.offer_ids.map(textOf), call.decline.filters?.refuse_seconds ?? 5);
    case 'REVIVE':
      return reviveCall(call.revive?.roles);
    case 'SUPPRESS':
      return suppressCall(call.suppress?.roles);
    case 'KILL': {
      const grace_ns = call.kill.kill_policy?.grace_period?.nanoseconds;
      return killCall(taskAt(call.kill), grace_ns === undefined ? undefined : grace_ns / 1e6);
    }
    case 'SHUTDOWN':
      return shutdownCall(call.shutdown.executor_id.value, call.shutdown.agent_id.value);
    case 'ACKNOWLEDGE':
    case 'ACKNOWLEDGE_OPERATION_STATUS':
      throw new Error(`${call.type}: expected to be made of its event`);
    case 'RECONCILE': {
      const [first, ...others] = call.reconcile.tasks.map(taskAt);
      return first === undefined ? reconcileAllCall() : reconcileCall([first, ...others]);
    }
    case 'MESSAGE': {
      const { executor_id, agent_id, data } = call.message;
      return messageCall(executor_id.value, agent_id.value, Buffer.from(data, 'base64'));
    }
    case 'UPDATE_FRAMEWORK': {
      const { framework_info, suppressed_roles, offer_constraints } = call.update_framework;
      return updateFrameworkCall(framework_info, suppressed_roles, offer_constraints);
    }
    case 'ACCEPT_INVERSE_OFFERS': {
      const { inverse_offer_ids, filters } = call.accept_inverse_offers;
      return acceptInverseOffersCall(inverse_offer_ids.map(textOf), filters?.refuse_seconds ?? 5);
    }
    case 'DECLINE_INVERSE_OFFERS': {
      const { inverse_offer_ids, filters } = call.decline_inverse_offers;
      return declineInverseOffersCall(inverse_offer_ids.map(textOf), filters?.refuse_seconds ?? 5);
    }
    case 'RECONCILE_OPERATIONS':
      return reconcileOperationsCall(
        call.reconcile_operations.operations.map(({ operation_id, agent_id }) => ({
          operation_id: operation_id.value,
          agent_id: agent_id?.value,
        })),
      );
  }
}

// --- launches -------------------------------------------------------------------------------------------------------

/** Matches plans that want what the recorded tasks were given with the offers that the recorded call accepted. */
export function matchedAsRecorded(
  { accept, framework_id }: Accept,
  events: readonly Event[],
): { readonly matched: Matched; readonly calls: readonly Call[] } {
  const wanted = (resources: readonly Resource[]) => ({
    cpus: amountOf('cpus', resources),
    mem: amountOf('mem', resources),
    disk: amountOf('disk', resources),
  });
  const plan = (task: TaskInfo, executor: LaunchPlan['executor']): LaunchPlan => ({
    ...planOf(task),
    resources: wanted(task.resources),
    executor,
  });
  const plans = accept.operations
    .filter(launches)
    .flatMap(operation =>
      operation.type === 'LAUNCH'
        ? operation.launch.task_infos.map(task => plan(task, undefined))
        : operation.launch_group.task_group.tasks.map(task =>
            plan(task, wanted(operation.launch_group.executor.resources ?? [])),
          ),
    );
  const matched = match(hostsOf(acceptedOffers(accept, events)), plans);
  const refuse_seconds = accept.filters?.refuse_seconds ?? 5;
  return {
    matched,
    calls: byHost(matched.placements).map(host =>
      acceptCall(host, { framework_id: framework_id.value, refuse_seconds }),
    ),
  };
}

const planOf = (task: TaskInfo): LaunchPlan => ({
  task_id: task.task_id.value,
  name: task.name,
  group: task.task_id.value,
  resources: { cpus: 0, mem: 0, disk: 0 },
  ports: [],
  executor: undefined,
  constraints: [],
  command: task.command ?? {},
  kill_grace_ms: 3000,
  labels: {},
});

const acceptedOffers = ({ offer_ids }: Accept['accept'], events: readonly Event[]): readonly Offer[] => {
  const ids = offer_ids.map(textOf);
  return events
    .flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []))
    .filter(({ id }) => ids.includes(id.value));
};

// --- operations -----------------------------------------------------------------------------------------------------

/** Each operation made of what the accepted offers hold and the operations before it have made of that. */
function operated({ accept }: Accept, events: readonly Event[]): Call {
  const offers = acceptedOffers(accept, events);
  let stock = stockOf(offers.flatMap(({ resources }) => resources));
  const volumes = new Map(volumesIn(offers.flatMap(({ resources }) => resources)));
  const freed: Resource[] = [];
  const takeLike = (resources: readonly Resource[]): readonly Resource[] => {
    const taken = take(stock, quantitiesOf(amounts(resources)));
    stock = taken.stock;
    return taken.resources;
  };
  const make = (operation: Operation): Operation => {
    switch (operation.type) {
      case 'RESERVE': {
        const { role = '', principal = '', labels = { labels: [] } } = topOf(operation.reserve.resources[0]!);
        const resources = takeLike(operation.reserve.resources);
        return reserveOperation(
          resources.map(resource => reserved(resource, { role, principal, labels })),
          operation.id?.value,
        );
      }
      case 'CREATE': {
        const [volume] = operation.create.volumes;
        const { id, principal = '' } = volume!.disk!.persistence!;
        const { container_path } = volume!.disk!.volume!;
        const [disk] = takeLike(operation.create.volumes);
        const made = persistentVolume(disk!, { id, container_path, principal });
        volumes.set(id, made);
        return createOperation([made], operation.id?.value);
      }
      case 'DESTROY': {
        const doomed = operation.destroy.volumes.map(({ disk }) => volumes.get(disk!.persistence!.id)!);
        for (const { disk: _, ...disk } of doomed) freed.push(disk);
        return destroyOperation(doomed, operation.id?.value);
      }
      case 'UNRESERVE': {
        const plain = operation.unreserve.resources.filter(({ name }) => name !== 'disk');
        const resources = [...takeLike(plain), ...freed];
        // What a real master would have refused to undo would have thrown here.
        for (const resource of resources) unreserved(resource);
        return unreserveOperation(resources, operation.id?.value);
      }
      case 'LAUNCH':
        return {
          type: 'LAUNCH',
          launch: {
            task_infos: operation.launch.task_infos.map(task =>
              taskInfo({
                ...placedAt(task, offers[0]!),
                resources: [
                  ...takeLike(task.resources.filter(({ disk }) => disk === undefined)),
                  ...task.resources.flatMap(({ disk }) =>
                    disk === undefined ? [] : [volumes.get(disk.persistence!.id)!],
                  ),
                ],
              }),
            ),
          },
        };
      case 'LAUNCH_GROUP':
        throw new Error('a group beside other operations: expected none in the recordings');
    }
  };
  return operateCall(accept.offer_ids.map(textOf), accept.operations.map(make), accept.filters?.refuse_seconds ?? 5);
}

const placedAt = (task: TaskInfo, offer: Offer) => ({
  ...match(hostsOf([{ ...offer, resources: [...offer.resources] }]), [planOf(task)]).placements[0]!,
});

const topOf = (resource: Resource) => resource.reservations?.at(-1) ?? {};
const amounts = (resources: readonly Resource[]) => ({
  cpus: amountOf('cpus', resources),
  mem: amountOf('mem', resources),
  disk: amountOf('disk', resources),
});
const amountOf = (name: string, resources: readonly Resource[]) =>
  resources.find(resource => resource.name === name)?.scalar?.value ?? 0;
const textOf = ({ value }: Id) => value;
const taskAt = ({ task_id, agent_id }: { readonly task_id: Id; readonly agent_id?: Id }): TaskAt => ({
  task_id: task_id.value,
  agent_id: agent_id?.value,
});
const onlyOne = (calls: readonly Call[]): Call => {
  const [call, ...others] = calls;
  if (call === undefined || others.length > 0) throw new Error(`${calls.length} calls: expected one`);
  return call;
};

// --- comparing ------------------------------------------------------------------------------------------------------

type Launch = Extract<Operation, { type: 'LAUNCH' | 'LAUNCH_GROUP' }>;
const launches = (operation: Operation): operation is Launch =>
  operation.type === 'LAUNCH' || operation.type === 'LAUNCH_GROUP';

/** The fields of a call that are compared: everything, but of launches those that replay.test.ts names. */
export function comparable(call: Call): unknown {
  if (call.type !== 'ACCEPT') return call;
  const { offer_ids, operations, filters } = call.accept;
  return { ...call, accept: { offer_ids, filters, operations: operations.map(comparableOperation) } };
}

function comparableOperation(operation: Operation): unknown {
  switch (operation.type) {
    case 'LAUNCH':
      return { type: operation.type, tasks: operation.launch.task_infos.map(comparableTask) };
    case 'LAUNCH_GROUP': {
      const { executor, task_group } = operation.launch_group;
      return {
        type: operation.type,
        executor: {
          type: executor.type,
          framework_id: executor.framework_id,
          resources: comparableResources(executor.resources ?? []),
        },
        tasks: task_group.tasks.map(comparableTask),
      };
    }
    case 'RESERVE':
      return { ...operation, reserve: comparableResources(operation.reserve.resources) };
    case 'UNRESERVE':
      return { ...operation, unreserve: comparableResources(operation.unreserve.resources) };
    case 'CREATE':
      return { ...operation, create: comparableResources(operation.create.volumes) };
    case 'DESTROY':
      return { ...operation, destroy: comparableResources(operation.destroy.volumes) };
  }
}

const comparableTask = ({ name, task_id, agent_id, command, resources }: TaskInfo) => ({
  name,
  task_id,
  agent_id,
  command,
  resources: comparableResources(resources),
});
/** All that is said of a resource but `role`, which masters of before reservation stacks put into offers. */
const comparableResources = (resources: readonly Resource[]) => resources.map(({ role: _, ...rest }) => rest);
