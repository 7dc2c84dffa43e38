// wire-call.ts: reads what a framework posted, and refuses it in the words of a real master.
//
// Mesos turns JSON into a protobuf before it looks at what is meant, so three kinds of no come in this order: not JSON,
// not the shape of a Call, not a valid Call. Behind this door everything has the type it claims to have.

import type { CallOnWire, Subscribe } from '../protocol.ts';
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
  sparse,
  text,
} from './wire-shape.ts';

export type WireCall =
  | { readonly ok: true; readonly subscribe: Subscribe }
  | { readonly ok: true; readonly call: CallOnWire }
  | { readonly ok: false; readonly status: 400; readonly text: string };

export const id = message({ value: must(text) });
export const labels = message({ labels: many(message({ key: must(text), value: text })) });
const ranges = message({ range: many(message({ begin: must(number), end: must(number) })) });
export const resource = message({
  name: must(text),
  type: must(text),
  scalar: message({ value: must(number) }),
  ranges,
  set: message({ item: many(text) }),
  role: text,
  allocation_info: message({ role: text }),
  reservations: sparse(message({ type: text, role: text, principal: text, labels })),
  disk: message({
    persistence: message({ id: must(text), principal: text }),
    volume: message({ mode: text, container_path: must(text), host_path: text }),
  }),
  revocable: message({}),
});
const command = message({
  shell: flag,
  value: text,
  arguments: many(text),
  user: text,
  uris: many(message({ value: must(text) })),
  environment: message({ variables: many(message({ name: must(text), value: text })) }),
});
const duration = message({ nanoseconds: must(number) });
const kill_policy = message({ grace_period: duration });
const parameter = message({ key: must(text), value: must(text) });
const port_mapping = message({ host_port: must(number), container_port: must(number), protocol: text });
const network_info = message({ name: text, ip_addresses: sparse(message({})), port_mappings: sparse(port_mapping) });
const docker_volume = message({
  driver: text,
  name: must(text),
  driver_options: message({ parameter: many(parameter) }),
});
const container = message({
  type: must(text),
  docker: message({
    image: must(text),
    network: text,
    port_mappings: sparse(port_mapping),
    parameters: sparse(parameter),
    force_pull_image: flag,
  }),
  mesos: message({}),
  volumes: sparse(
    message({
      mode: must(text),
      container_path: must(text),
      host_path: text,
      source: message({ type: text, docker_volume }),
    }),
  ),
  network_infos: sparse(network_info),
  rlimit_info: message({ rlimits: sparse(message({ type: must(text), soft: number, hard: number })) }),
});
const executor = message({
  type: text,
  executor_id: must(id),
  framework_id: id,
  command,
  resources: many(resource),
  name: text,
  container,
  data: bytes,
});
export const task = message({
  name: must(text),
  task_id: must(id),
  agent_id: must(id),
  resources: many(resource),
  command,
  executor,
  container,
  kill_policy,
  health_check: message({ type: text, command, http: message({}), tcp: message({}) }),
  check: message({}),
  max_completion_time: duration,
  labels,
  discovery: message({}),
  data: bytes,
});
const filters = message({ refuse_seconds: number });
const inverse_answer = message({ inverse_offer_ids: many(id), filters });
const operation = message({
  type: must(text),
  id,
  reserve: message({ resources: many(resource) }),
  unreserve: message({ resources: many(resource) }),
  create: message({ volumes: many(resource) }),
  destroy: message({ volumes: many(resource) }),
  launch: message({ task_infos: many(task) }),
  launch_group: message({ executor: must(executor), task_group: must(message({ tasks: many(task) })) }),
});
const framework_info = message({
  user: must(text),
  name: must(text),
  id,
  failover_timeout: number,
  checkpoint: flag,
  hostname: text,
  webui_url: text,
  principal: text,
  role: text,
  roles: many(text),
  capabilities: many(message({ type: text })),
  labels,
});
const roles = message({ roles: many(text) });
const terms = message({
  framework_info: must(framework_info),
  suppressed_roles: many(text),
  offer_constraints: message({ role_constraints: message({}) }),
});

const call: Shape = {
  type: text,
  framework_id: id,
  subscribe: terms,
  accept: message({ offer_ids: many(id), operations: many(operation), filters }),
  decline: message({ offer_ids: many(id), filters }),
  revive: roles,
  suppress: roles,
  kill: message({ task_id: must(id), agent_id: id, kill_policy }),
  shutdown: message({ executor_id: must(id), agent_id: must(id) }),
  acknowledge: message({ agent_id: must(id), task_id: must(id), uuid: must(bytes) }),
  reconcile: message({ tasks: many(message({ task_id: must(id), agent_id: id })) }),
  message: message({ agent_id: must(id), executor_id: must(id), data: must(bytes) }),
  update_framework: terms,
  accept_inverse_offers: inverse_answer,
  decline_inverse_offers: inverse_answer,
  acknowledge_operation_status: message({ agent_id: id, uuid: must(bytes), operation_id: must(id) }),
  reconcile_operations: message({ operations: many(message({ operation_id: must(id), agent_id: id })) }),
};

/** Which field each type of call must bring along. */
const types: { readonly [type: string]: string | undefined } = {
  SUBSCRIBE: 'subscribe',
  TEARDOWN: undefined,
  ACCEPT: 'accept',
  DECLINE: 'decline',
  REVIVE: undefined,
  SUPPRESS: undefined,
  KILL: 'kill',
  SHUTDOWN: 'shutdown',
  ACKNOWLEDGE: 'acknowledge',
  RECONCILE: 'reconcile',
  MESSAGE: 'message',
  UPDATE_FRAMEWORK: 'update_framework',
  ACCEPT_INVERSE_OFFERS: 'accept_inverse_offers',
  DECLINE_INVERSE_OFFERS: 'decline_inverse_offers',
  ACKNOWLEDGE_OPERATION_STATUS: 'acknowledge_operation_status',
  RECONCILE_OPERATIONS: 'reconcile_operations',
};
/** Which field each type of operation must bring along. */
const operation_types: ReadonlyMap<string, string> = new Map([
  ['LAUNCH', 'launch'],
  ['LAUNCH_GROUP', 'launch_group'],
  ['RESERVE', 'reserve'],
  ['UNRESERVE', 'unreserve'],
  ['CREATE', 'create'],
  ['DESTROY', 'destroy'],
]);
/** Accepted and without effect, in a real master too. */
const idle_types = new Set(['REQUEST']);

export function readCall(body: string): WireCall {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    return no(`Failed to parse body into JSON: ${placeOf(body, error)}`);
  }
  if (!isObject(json)) return no('Failed to convert JSON into Call protobuf: Expecting a JSON object');
  const faults: Faults = { missing: [], wrong: undefined };
  const read = fill(json, call, '', faults);
  if (faults.wrong !== undefined) return no(`Failed to convert JSON into Call protobuf: ${faults.wrong}`);
  if (faults.missing.length > 0)
    return no(`Failed to convert JSON into Call protobuf: Missing required fields: ${faults.missing.join(', ')}`);
  return valid(read);
}

const no = (text: string): WireCall => ({ ok: false, status: 400, text });
const invalid = (text: string): WireCall => no(`Failed to validate scheduler::Call: ${text}`);

/** Where JSON went wrong, in Mesos's words: the line, and what stands there, which is nothing where it broke off. */
function placeOf(body: string, error: unknown): string {
  const told = / at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
  const at = told === undefined ? body.length : Number(told);
  const line = body.slice(0, at).split('\n').length;
  return `syntax error at line ${line} near: ${body.slice(at).split('\n')[0]!.slice(0, 80)}`;
}

function valid(read: Record<string, unknown>): WireCall {
  const { type } = read;
  if (typeof type !== 'string' || !(type in types || idle_types.has(type)))
    return invalid("Expecting 'type' to be present");
  const field = types[type];
  if (field !== undefined && read[field] === undefined) return invalid(`Expecting '${field}' to be present`);
  if (type === 'SUBSCRIBE') {
    // The shape has been checked field by field against the same names.
    const request = read as unknown as Subscribe;
    if (request.framework_id?.value !== request.subscribe.framework_info.id?.value)
      return invalid("'framework_id' differs from 'subscribe.framework_info.id'");
    return { ok: true, subscribe: request };
  }
  if (read.framework_id === undefined) return invalid("Expecting 'framework_id' to be present");
  const wire = read as unknown as CallOnWire;
  if (wire.type === 'ACCEPT') {
    // Types that nobody knows are passed over, as a protobuf passes over an enum of another version.
    const known = wire.accept.operations.filter(({ type }) => operation_types.has(type));
    const bare = known.find(each => !(operation_types.get(each.type)! in each));
    if (bare !== undefined) return invalid(`Expecting '${operation_types.get(bare.type)}' to be present`);
    return { ok: true, call: { ...wire, accept: { ...wire.accept, operations: known } } };
  }
  if (wire.type === 'ACKNOWLEDGE' && atob(wire.acknowledge.uuid).length !== 16) return invalid('Not a valid UUID');
  return { ok: true, call: wire };
}
