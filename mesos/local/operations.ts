// operations.ts: what an ACCEPT does to resources beside launching on them: reserving, and making volumes.
//
// Changing money: a coin of one kind goes in and a coin of another comes out, and neither the sum nor who holds it changes.
// Whoever names an operation hears what came of it, until he signs for it. The agent keeps the result; one that cannot
// refuses.

import type { CallOnWire, Operation, OperationStatus, Resource } from '../protocol.ts';
import { type Amount, addTo, amountOf, contains, deduct, purseOf, resourcesOf, textOf } from './amounts.ts';
import type { Pool } from './launches.ts';
import { type Agent, type Framework, order, type PendingOperation, say, type Turn } from './master-state.ts';

type Conversion = Extract<Operation, { type: 'RESERVE' | 'UNRESERVE' | 'CREATE' | 'DESTROY' }>;

/** Exchanges coins of the pool, and of the agent's total with it. */
export function convert(turn: Turn, framework: Framework, pool: Pool, operation: Conversion): void {
  const { agent } = pool;
  const exchange = exchangeOf(operation);
  const error = exchange.ok ? wrongExchange(pool, operation, exchange.from) : exchange.message;
  if (error !== undefined || !exchange.ok) {
    if (operation.id !== undefined)
      tell(turn, framework, { operation_id: operation.id, state: 'OPERATION_ERROR', message: error ?? '' });
    return;
  }
  deduct(pool.left, exchange.from);
  addTo(pool.left, exchange.to);
  const total = purseOf(agent.total);
  deduct(total, exchange.from);
  addTo(total, exchange.to);
  agent.total = total;
  order(turn, agent, { type: 'keep', resources: resourcesOf(total, undefined, true) });
  if (operation.id === undefined) return;
  const status: OperationStatus = {
    operation_id: operation.id,
    state: 'OPERATION_FINISHED',
    uuid: { value: nextUuid(turn) },
    agent_id: { value: agent.info.id },
  };
  const pending: PendingOperation = { id: operation.id.value, status, agent, sent: 0 };
  framework.operations.set(pending.id, pending);
  sendOperation(turn, framework, pending);
}

type Exchange =
  | { readonly ok: true; readonly from: Amount; readonly to: Amount }
  | { readonly ok: false; readonly message: string };

/** What goes in and what comes out. */
function exchangeOf(operation: Conversion): Exchange {
  const between = (from: readonly Resource[], to: readonly Resource[]): Exchange => {
    const [given, taken] = [amountOf(from), amountOf(to)];
    if (!given.ok) return given;
    return taken.ok ? { ok: true, from: given.amount, to: taken.amount } : taken;
  };
  switch (operation.type) {
    case 'RESERVE':
      return between(operation.reserve.resources.map(unreserved), operation.reserve.resources);
    case 'UNRESERVE':
      return between(operation.unreserve.resources, operation.unreserve.resources.map(unreserved));
    case 'CREATE':
      return between(operation.create.volumes.map(bare), operation.create.volumes);
    case 'DESTROY':
      return between(operation.destroy.volumes, operation.destroy.volumes.map(bare));
  }
}

/** Without the latest of its reservations. */
function unreserved({ reservations = [], role: _, ...rest }: Resource): Resource {
  return reservations.length < 2 ? rest : { ...rest, reservations: reservations.slice(0, -1) };
}
/** Without its volume. */
const bare = ({ disk: _, ...rest }: Resource): Resource => rest;

function wrongExchange(pool: Pool, operation: Conversion, from: Amount): string | undefined {
  if (pool.agent.info.keeps_reservations !== true)
    return `Agent ${pool.agent.info.id} of this one-machine Mesos keeps no reservations and no volumes`;
  const resources =
    operation.type === 'RESERVE'
      ? operation.reserve.resources
      : operation.type === 'UNRESERVE'
        ? operation.unreserve.resources
        : [];
  for (const { name, reservations = [] } of resources) {
    const last = reservations.at(-1);
    if (last?.type !== 'DYNAMIC') return `Resource ${name} is not dynamically reserved`;
    if (operation.type === 'RESERVE' && last.role !== pool.role)
      return `A reserve operation was attempted for role '${last.role}', but its offer is allocated to role '${pool.role}'`;
  }
  const volumes = operation.type === 'CREATE' ? operation.create.volumes : [];
  for (const { reservations = [], disk } of volumes) {
    const id = disk?.persistence?.id;
    if (id === undefined || disk?.volume === undefined) return 'Resource is not a persistent volume';
    if (reservations.length === 0) return 'Persistent volumes cannot be created from unreserved resources';
    if ([...pool.agent.total.keys()].some(kind => kind.includes(`"persistence":{"id":${JSON.stringify(id)}`)))
      return `Persistence ID '${id}' already exists on agent ${pool.agent.info.id}`;
  }
  return contains(pool.left, from)
    ? undefined
    : `${textOf(pool.left, pool.role)} does not contain ${textOf(from, pool.role)}`;
}

// --- what comes of them ---------------------------------------------------------------------------------------------

const tell = (turn: Turn, framework: Framework, status: OperationStatus) =>
  say(turn, framework, { type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status } });

/** Sends a status and arranges for the next time, as for tasks. */
export function sendOperation(turn: Turn, framework: Framework, pending: PendingOperation): void {
  if (framework.stream === undefined) return;
  tell(turn, framework, pending.status);
  const { resend_ms, resend_ms_max } = turn.master.options;
  const pause_ms = Math.min(resend_ms * 2 ** pending.sent, resend_ms_max);
  pending.sent++;
  turn.master.alarms.set(turn.now + pause_ms, { type: 'resend-operation', framework, pending, sent: pending.sent });
}

export function resendOperation(
  turn: Turn,
  { framework, pending, sent }: { framework: Framework; pending: PendingOperation; sent: number },
): void {
  if (framework.operations.get(pending.id) === pending && pending.sent === sent)
    sendOperation(turn, framework, pending);
}

type Acknowledge = Extract<CallOnWire, { type: 'ACKNOWLEDGE_OPERATION_STATUS' }>['acknowledge_operation_status'];

export function acknowledgeOperation(framework: Framework, { operation_id, uuid }: Acknowledge): void {
  if (framework.operations.get(operation_id.value)?.status.uuid?.value === uuid)
    framework.operations.delete(operation_id.value);
}

type Reconcile = Extract<CallOnWire, { type: 'RECONCILE_OPERATIONS' }>['reconcile_operations'];

/** Asked about none, it tells of all that it knows. */
export function reconcileOperations(turn: Turn, framework: Framework, { operations }: Reconcile): void {
  const latest = ({ id, status, agent }: PendingOperation) =>
    tell(turn, framework, {
      operation_id: { value: id },
      state: status.state,
      message: 'Reconciliation: Latest operation state',
      agent_id: { value: agent.info.id },
    });
  if (operations.length === 0) for (const pending of framework.operations.values()) latest(pending);
  for (const { operation_id, agent_id } of operations) {
    const known = framework.operations.get(operation_id.value);
    if (known !== undefined) latest(known);
    else tell(turn, framework, unknown(turn, operation_id, agent_id));
  }
}

function unknown(
  { master }: Turn,
  operation_id: { readonly value: string },
  agent_id: { readonly value: string } | undefined,
): OperationStatus {
  const about = (state: OperationStatus['state'], message: string): OperationStatus => ({
    operation_id,
    state,
    message: `Reconciliation: ${message}`,
    ...(agent_id === undefined ? {} : { agent_id }),
  });
  if (agent_id === undefined) return about('OPERATION_UNKNOWN', "Operation is unknown and no 'agent_id' was provided");
  if (master.gone_agents.has(agent_id.value))
    return about('OPERATION_GONE_BY_OPERATOR', 'Agent marked gone by operator');
  const agent: Agent | undefined = master.agents.get(agent_id.value);
  if (agent?.status === 'unreachable') return about('OPERATION_UNREACHABLE', 'Agent is unreachable');
  return about('OPERATION_UNKNOWN', 'Operation is unknown');
}

/** Sixteen bytes in the form of a random uuid: a master's counter behind what its ids begin with. */
function nextUuid({ master }: Turn): string {
  let mixed = 0x811c9dc5;
  for (const letter of master.options.ids_prefix) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, mixed);
  view.setUint32(12, master.next_operation++);
  bytes[6] = 0x40;
  bytes[8] = 0x80;
  return btoa(String.fromCharCode(...bytes));
}
