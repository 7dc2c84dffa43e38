// executor-call.ts: reads what an executor posted, and refuses it in the words of a real agent.
//
// Three kinds of no, in Mesos's order: not JSON, not the shape of a Call, not a valid Call. Behind this door everything has
// the type it claims to have. Whether the caller is known is the agent's to say.

import { task_states } from '../protocol.ts';
import type { ExecutorCall } from './executor-protocol.ts';
import { id, labels, task } from './wire-call.ts';
import {
  bytes,
  type Faults,
  fill,
  flag,
  isObject,
  many,
  message,
  must,
  number,
  type Shape,
  text,
} from './wire-shape.ts';

export type ReadExecutorCall =
  | { readonly ok: true; readonly call: ExecutorCall }
  | { readonly ok: false; readonly status: 400 | 501; readonly text: string };

const status_fields: Shape = {
  task_id: must(id),
  state: must(text),
  message: text,
  source: text,
  reason: text,
  data: bytes,
  agent_id: id,
  executor_id: id,
  timestamp: number,
  uuid: bytes,
  healthy: flag,
  labels,
  check_status: message({ type: text, command: message({}), http: message({}), tcp: message({}) }),
  container_status: message({}),
  unreachable_time: message({ nanoseconds: must(number) }),
  limitation: message({}),
};
const status = message(status_fields);
const call: Shape = {
  type: text,
  executor_id: must(id),
  framework_id: must(id),
  subscribe: message({
    unacknowledged_tasks: many(task),
    unacknowledged_updates: many(message({ status: must(status) })),
  }),
  update: message({ status: must(status) }),
  message: message({ data: must(bytes) }),
};

/** Which field each type of call must bring along. */
const types: { readonly [type: string]: string | undefined } = {
  SUBSCRIBE: 'subscribe',
  UPDATE: 'update',
  MESSAGE: 'message',
  HEARTBEAT: undefined,
};
const states: ReadonlySet<string> = new Set(task_states);
/** A check's status names what was found under the name of its type. */
const check_fields = [
  ['COMMAND', 'command'],
  ['HTTP', 'http'],
  ['TCP', 'tcp'],
] as const;

export function readExecutorCall(body: string): ReadExecutorCall {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return no(`Failed to parse body into JSON: syntax error at line 1 near: `);
  }
  if (!isObject(json)) return no('Failed to convert JSON into Call protobuf: Expecting a JSON object');
  const faults: Faults = { missing: [], wrong: undefined };
  const read = fill(json, call, '', faults);
  // An enum is read while the message is, before anything is missed.
  for (const { state } of statusesOf(read))
    if (typeof state === 'string' && !states.has(state)) faults.wrong ??= `Failed to find enum for '${state}'`;
  if (faults.wrong !== undefined) return no(`Failed to convert JSON into Call protobuf: ${faults.wrong}`);
  if (faults.missing.length > 0)
    return no(`Failed to convert JSON into Call protobuf: Missing required fields: ${faults.missing.join(', ')}`);
  const { type } = read;
  if (type === 'UNKNOWN') return { ok: false, status: 501, text: '501 Not Implemented.' };
  if (typeof type !== 'string' || !(type in types)) return invalid("Expecting 'type' to be present");
  const field = types[type];
  if (field !== undefined && read[field] === undefined) return invalid(`Expecting '${field}' to be present`);
  for (const each of statusesOf(read)) {
    const wrong = wrongWith(read, each);
    if (wrong !== undefined) return invalid(wrong);
    // What Mesos does not know it does not keep.
    if (typeof each.reason === 'string' && !reasons.has(each.reason)) delete each.reason;
    for (const name of Object.keys(each)) if (!(name in status_fields)) delete each[name];
  }
  // The shape has been checked field by field against the same names.
  return { ok: true, call: read as unknown as ExecutorCall };
}

const no = (text: string): ReadExecutorCall => ({ ok: false, status: 400, text });
const invalid = (text: string): ReadExecutorCall => no(`Failed to validate Executor::Call: ${text}`);

/** All statuses of a call of its type: the update's, or those that a subscriber brings along. */
function statusesOf(read: Record<string, unknown>): Record<string, unknown>[] {
  const { type, update, subscribe } = read;
  const unacknowledged = type === 'SUBSCRIBE' && isObject(subscribe) ? subscribe.unacknowledged_updates : [];
  const updates = type === 'UPDATE' ? [update] : Array.isArray(unacknowledged) ? unacknowledged : [];
  return updates.flatMap(each => (isObject(each) && isObject(each.status) ? [each.status] : []));
}

function wrongWith(read: Record<string, unknown>, status: Record<string, unknown>): string | undefined {
  const executor = idOf(read.executor_id);
  const from = `executor ${executor} of framework ${idOf(read.framework_id)}`;
  const { uuid, source, state, executor_id, check_status } = status;
  if (typeof uuid !== 'string') return "Expecting 'uuid' to be present";
  if (!isUuid(uuid)) return 'Not a valid UUID';
  if (source !== 'SOURCE_EXECUTOR')
    return `Received Call from ${from} with invalid source, expecting 'SOURCE_EXECUTOR'`;
  if (state === 'TASK_STAGING') return `Received TASK_STAGING from ${from} which is not allowed`;
  if (executor_id !== undefined && idOf(executor_id) !== executor)
    return `ExecutorID in Call: ${executor} does not match ExecutorID in TaskStatus: ${idOf(executor_id)}`;
  if (!isObject(check_status)) return undefined;
  if (check_status.type === undefined) return "CheckStatusInfo must specify 'type'";
  for (const [type, field] of check_fields)
    if (check_status.type === type && check_status[field] === undefined)
      return `Expecting '${field}' to be set for ${type} check's status`;
  return undefined;
}

const idOf = (id: unknown) => (isObject(id) ? String(id.value) : '');

/** Sixteen bytes whose version RFC 4122 knows; every other sixteen are refused, nil too. */
function isUuid(base64: string): boolean {
  const bytes = atob(base64);
  const version = bytes.charCodeAt(6) >> 4;
  return bytes.length === 16 && version >= 1 && version <= 5;
}

const reasons: ReadonlySet<string> = new Set(
  `COMMAND_EXECUTOR_FAILED CONTAINER_LAUNCH_FAILED CONTAINER_LIMITATION CONTAINER_LIMITATION_DISK
  CONTAINER_LIMITATION_MEMORY CONTAINER_PREEMPTED CONTAINER_UPDATE_FAILED MAX_COMPLETION_TIME_REACHED
  EXECUTOR_REGISTRATION_TIMEOUT EXECUTOR_REREGISTRATION_TIMEOUT EXECUTOR_TERMINATED EXECUTOR_UNREGISTERED
  FRAMEWORK_REMOVED GC_ERROR INVALID_FRAMEWORKID INVALID_OFFERS IO_SWITCHBOARD_EXITED MASTER_DISCONNECTED
  RECONCILIATION RESOURCES_UNKNOWN AGENT_DISCONNECTED AGENT_DRAINING AGENT_REMOVED AGENT_REMOVED_BY_OPERATOR
  AGENT_REREGISTERED AGENT_RESTARTED AGENT_UNKNOWN TASK_CHECK_STATUS_UPDATED TASK_HEALTH_CHECK_STATUS_UPDATED
  TASK_GROUP_INVALID TASK_GROUP_UNAUTHORIZED TASK_INVALID TASK_KILLED_DURING_LAUNCH TASK_UNAUTHORIZED TASK_UNKNOWN`
    .split(/\s+/)
    .map(name => `REASON_${name}`),
);
