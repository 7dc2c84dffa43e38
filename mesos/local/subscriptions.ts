// subscriptions.ts: how frameworks come, come back, stay away and go.
//
// The last to subscribe under an id has it: whoever was there before is told so and shut out by the id of his stream.
// A framework that is away keeps its tasks until its own failover timeout ends it.

import { Book, Roll } from '../../schedules/book.ts';
import type { FrameworkInfo, FrameworkTerms, Subscribe } from '../protocol.ts';
import { revive, takeBack } from './allocation.ts';
import { closeStream, type Framework, type Master, order, say, type Turn, wantAllocation } from './master-state.ts';
import { wrongConstraints } from './offer-constraints.ts';
import { sendOperation } from './operations.ts';
import { forgetTask, send } from './updates.ts';

export const framework_messages = {
  unknown: 'Framework cannot be found',
  not_subscribed: 'Framework is not subscribed',
  no_stream: "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
  otherStream: (stream: string, framework: string) =>
    `The stream ID '${stream}' included in this request didn't match the stream ID currently associated with framework ID ${framework}`,
} as const;

export const otherPrincipal = (caller: string, principal: string): string =>
  `Authenticated principal '${caller}' does not match principal '${principal}' set in \`FrameworkInfo\``;

export function subscribe(turn: Turn, stream: string, request: Subscribe): void {
  const { master } = turn;
  turn.outputs.push({ type: 'answer', status: 200, text: '' });
  const asked = request.framework_id?.value;
  const message =
    asked !== undefined && master.removed.has(asked) ? 'Framework has been removed' : wrongTerms(request.subscribe);
  if (message !== undefined) {
    turn.outputs.push(
      { type: 'events', stream, events: [{ type: 'ERROR', error: { message } }] },
      { type: 'close', stream },
    );
    return;
  }
  const id = asked ?? newFrameworkId(master);
  const framework = frameworkOf(master, id);
  if (framework.stream !== undefined) {
    say(turn, framework, { type: 'ERROR', error: { message: 'Framework failed over' } });
    closeStream(turn, framework);
  }
  // Offers of an earlier subscription are void without a word, and its refusals forgotten.
  takeBack(turn, framework.offers, 'silent');
  framework.filters.clear();
  agreeOn(framework, request.subscribe);
  framework.stream = stream;
  framework.subscription++;
  master.streams.set(stream, framework);
  const { ids_prefix, hostname, port, heartbeat_ms } = master.options;
  say(turn, framework, {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: id },
      heartbeat_interval_seconds: heartbeat_ms / 1000,
      master_info: {
        id: ids_prefix,
        ...ipOf(hostname),
        port,
        pid: `master@${hostname}:${port}`,
        hostname,
        version: '1.12.0',
        address: { hostname, ...('ip' in ipOf(hostname) ? { ip: hostname } : {}), port },
      },
    },
  });
  heartbeat(turn, framework, framework.subscription);
  for (const task of framework.tasks.values()) {
    task.sent = 0;
    send(turn, task);
  }
  // Roles suppressed from the start stay so: only what is not is offered.
  for (const pending of framework.operations.values()) {
    pending.sent = 0;
    sendOperation(turn, framework, pending);
  }
  const open = framework.roles.filter(role => !framework.suppressed.has(role));
  if (open.length > 0) revive(turn, framework, open);
}

/** What a framework and its master agree on, at a subscription and whenever it changes its mind. */
function agreeOn(
  framework: Framework,
  { framework_info: info, suppressed_roles = [], offer_constraints }: FrameworkTerms,
) {
  const capabilities = capabilitiesOf(info);
  framework.info = info;
  framework.roles = rolesOf(info);
  framework.partition_aware = capabilities.has('PARTITION_AWARE');
  framework.wants_killing = capabilities.has('TASK_KILLING_STATE');
  framework.refined = capabilities.has('RESERVATION_REFINEMENT');
  framework.constraints = offer_constraints;
  framework.suppressed.clear();
  for (const role of suppressed_roles) framework.suppressed.add(role);
}

const capabilitiesOf = (info: FrameworkInfo) => new Set(info.capabilities?.map(({ type }) => type));
const rolesOf = (info: FrameworkInfo): readonly string[] =>
  capabilitiesOf(info).has('MULTI_ROLE') ? (info.roles ?? []) : [info.role ?? '*'];

function wrongTerms({ framework_info: info, suppressed_roles = [], offer_constraints }: FrameworkTerms) {
  const multi_role = capabilitiesOf(info).has('MULTI_ROLE');
  return wrongRoles(info, multi_role, suppressed_roles, rolesOf(info)) ?? wrongConstraints(offer_constraints);
}

/** What cannot change while a framework lives. */
const fixed_fields = ['user', 'checkpoint', 'principal'] as const;

/** UPDATE_FRAMEWORK: new terms, at once. What is wrong with them, if they cannot be. */
export function updateFramework(turn: Turn, framework: Framework, terms: FrameworkTerms): string | undefined {
  const invalid = (why: string) => `FrameworkInfo update is not valid: ${why}`;
  for (const field of fixed_fields) {
    const [before, after] = [framework.info?.[field], terms.framework_info[field]];
    if (before !== after)
      return invalid(
        `Updating 'FrameworkInfo.${field}' is unsupported; attempted to update from '${before}' to '${after}'`,
      );
  }
  const wrong = wrongTerms(terms);
  if (wrong !== undefined) return invalid(wrong);
  agreeOn(framework, terms);
  takeBack(
    turn,
    [...framework.offers].filter(({ role }) => !framework.roles.includes(role)),
    'rescind',
  );
  for (const agent of turn.master.spare) wantAllocation(turn, agent);
  return undefined;
}

/** An IPv4 address as Mesos has it in a field of its own: the first number of the four in the lowest byte. */
function ipOf(hostname: string): { readonly ip?: number } {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(hostname)?.slice(1).map(Number);
  return parts === undefined ? {} : { ip: parts.reduce((ip, part, index) => ip + part * 256 ** index, 0) };
}

/** An id counted behind the prefix, passing over those that frameworks brought along themselves. */
function newFrameworkId(master: Master): string {
  for (;;) {
    const id = `${master.options.ids_prefix}-${String(master.next_framework++).padStart(4, '0')}`;
    if (!master.frameworks.has(id) && !master.removed.has(id)) return id;
  }
}

/** The framework of that id; made when nobody has heard of it, as Mesos does. One that was removed stays off the books. */
export function frameworkOf(master: Master, id: string): Framework {
  const known = master.frameworks.get(id);
  if (known !== undefined) return known;
  const framework: Framework = {
    id,
    info: undefined,
    roles: [],
    partition_aware: true,
    wants_killing: true,
    refined: false,
    constraints: undefined,
    stream: undefined,
    subscription: 0,
    suppressed: new Set(),
    filters: new Book(),
    offers: new Roll(),
    tasks: new Book(),
    operations: new Map(),
  };
  if (!master.removed.has(id)) master.frameworks.set(id, framework);
  return framework;
}

function wrongRoles(
  info: FrameworkInfo,
  multi_role: boolean,
  suppressed: readonly string[],
  roles: readonly string[],
): string | undefined {
  if (multi_role && info.role !== undefined)
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable";
  if (!multi_role && info.roles !== undefined && info.roles.length > 0)
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
  for (const role of roles) {
    const wrong =
      role === '*'
        ? undefined
        : role
            .split('/')
            .map(wrongComponent)
            .find(message => message !== undefined);
    if (wrong !== undefined) return `'FrameworkInfo.${multi_role ? 'roles' : 'role'}' contains invalid role: ${wrong}`;
  }
  const strangers = suppressed.filter(role => !roles.includes(role));
  if (strangers.length > 0) return `Suppressed roles { ${strangers.join(', ')} } are not contained in the set of roles`;
  return undefined;
}

function wrongComponent(component: string): string | undefined {
  const because = (why: string) => `Role component '${component}' is invalid because it ${why}`;
  if (component === '') return 'Role component cannot be empty';
  if (component === '.' || component === '..' || component === '*')
    return `Role component '${component}' is not allowed`;
  if (component.startsWith('-')) return because('begins with a dash');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the backspace is what Mesos forbids by name.
  if (/[\s\x08]/.test(component)) return because('contains backspace or whitespace');
  return undefined;
}

export function heartbeat(turn: Turn, framework: Framework, subscription: number): void {
  if (framework.stream === undefined || framework.subscription !== subscription) return;
  say(turn, framework, { type: 'HEARTBEAT' });
  turn.master.alarms.set(turn.now + turn.master.options.heartbeat_ms, { type: 'heartbeat', framework, subscription });
}

/** The other end of a stream is gone. Offers go back without a word; tasks stay until the failover timeout. */
export function streamClosed(turn: Turn, stream: string): void {
  const framework = turn.master.streams.get(stream);
  if (framework === undefined) return; // We had closed it ourselves.
  turn.master.streams.delete(stream);
  framework.stream = undefined;
  takeBack(turn, framework.offers, 'silent');
  framework.filters.clear();
  const failover_ms = (framework.info?.failover_timeout ?? 0) * 1000;
  turn.master.alarms.set(turn.now + Math.max(0, failover_ms), {
    type: 'failover',
    framework,
    subscription: framework.subscription,
  });
}

/** TEARDOWN, or a failover timeout that ran out: the tasks are killed, and the id is dead. */
export function removeFramework(turn: Turn, framework: Framework): void {
  const { master } = turn;
  closeStream(turn, framework);
  takeBack(turn, framework.offers, 'silent');
  for (const task of [...framework.tasks.values()]) {
    // What is pending has no reader any more; the agent may forget it, and will be told the same of what still comes.
    for (const { uuid } of task.pending)
      if (uuid !== undefined)
        order(turn, task.agent, { type: 'acknowledge', framework_id: framework.id, task_id: task.id, uuid });
    if (task.ended) forgetTask(task);
    else if (task.executor?.custom !== true)
      order(turn, task.agent, { type: 'kill', framework_id: framework.id, task_id: task.id });
  }
  for (const agent of master.agents.values())
    for (const executor of agent.executors.values())
      if (executor.custom && executor.framework === framework) {
        const about = { framework_id: framework.id, executor_id: executor.id };
        order(turn, agent, { type: 'shutdown', ...about, framework_over: true });
      }
  master.frameworks.delete(framework.id);
  master.removed.add(framework.id);
  if (master.removed.size > master.options.removed_frameworks_max) {
    const [oldest] = master.removed;
    if (oldest !== undefined) master.removed.delete(oldest);
  }
}
