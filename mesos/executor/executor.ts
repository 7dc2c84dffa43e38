// executor.ts: one executor: its agent on one side, its tasks on the other, and the diary between them.
//
// It takes tasks as they are launched, tells the agent what becomes of them until the agent has it, and leaves when nobody
// needs it any more. Whatever it was in the middle of when it was killed, it finds in the diary and goes on with.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Wake } from '../../schedules/clock.ts';
import { bootId } from '../local/processes.ts';
import type { TaskInfo, TaskState, TaskStatus } from '../protocol.ts';
import { readResult } from '../result-file.ts';
import { type AgentLink, connectToAgent } from './agent-link.ts';
import type { AgentEvent } from './agent-protocol.ts';
import { type Attendant, attend, type Said } from './attendant.ts';
import { type ExecutorRecord, openCheckpoint } from './checkpoint.ts';
import type { Introduction } from './environment.ts';
import { readLaunch } from './launch.ts';
import type { TaskRecord } from './task.ts';
import { isOver, isTerminal, no_updates, noteUpdate, type UpdateRecord, unacknowledged } from './updates.ts';

export type ExecutorOptions = {
  readonly introduction: Introduction;
  readonly own_environment: Readonly<Record<string, string | undefined>>;
  /** The porter's script. */
  readonly porter: string;
  /** For lengths of time: steady. */
  readonly clock: Clock;
  /** For dates. */
  readonly wall: () => number;
  readonly noted: (message: string, about?: object) => void;
  /** The executor is no longer needed. */
  readonly over: (why: string) => void;
};
export type Executor = { readonly close: () => void };

export function startExecutor(options: ExecutorOptions): Executor {
  const { introduction, clock, noted } = options;
  const { sandbox, timings } = introduction;
  const boot = bootId();
  const { checkpoint, records } = openCheckpoint(join(sandbox, '.horae', 'checkpoint'));
  const attendants = new Map<string, Attendant>();
  /** Updates that are on their way at this moment, by uuid, and when they were sent. */
  const sent = new Map<string, number>();
  let updates = no_updates;
  let hostname = 'localhost';
  let says_killing = false;
  let subscribed = false;
  let sending = false;
  let leaving: string | undefined;
  let agent_is_gone = false;
  let closed = false;
  let link: AgentLink | undefined;
  let alarm: Wake | undefined;
  let farewell: Wake | undefined;
  let patience: Wake | undefined;

  const note = (...news: UpdateRecord[]) => {
    checkpoint.append(news);
    for (const record of news) updates = noteUpdate(updates, record);
  };

  // --- what is said ------------------------------------------------------------------------------------------------

  const say = (task_id: string, state: TaskState, more: Partial<TaskStatus> = {}) => {
    // After a restart a task repeats itself; the last word is said once.
    if (isTerminal(updates.tasks[task_id]?.said)) return;
    if (state === 'TASK_KILLING' && !says_killing) return;
    const status: TaskStatus = {
      task_id: { value: task_id },
      state,
      source: 'SOURCE_EXECUTOR',
      // Mesos takes nothing but a real UUID, as 16 bytes.
      uuid: Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64'),
      timestamp: options.wall() / 1_000,
      ...more,
    };
    note({ kind: 'said', status });
    void sendAll();
  };
  const sayOf = (task_id: string, { state, verdict, healthy, report }: Said) =>
    say(task_id, state, {
      ...(verdict?.message === undefined ? {} : { message: verdict.message }),
      ...(verdict?.reason === undefined ? {} : { reason: verdict.reason }),
      ...(healthy === undefined ? {} : { healthy }),
      data: dataOf(state, report),
    });
  /** With the last word, what the task left for others: first, for whoever looks for it alone. */
  const dataOf = (state: TaskState, report: Said['report']) => {
    const result = isTerminal(state) ? readResult(sandbox) : undefined;
    return Buffer.from(JSON.stringify(result === undefined ? report : { result, ...report })).toString('base64');
  };

  /** One after the other, in order: a later word about a task never overtakes an earlier one. */
  const sendAll = async () => {
    if (sending || closed) return;
    sending = true;
    try {
      for (let next = nextToSend(); next !== undefined && subscribed && !closed && link; next = nextToSend()) {
        sent.set(next.uuid!, clock.monotonic());
        const answer = await link.call({ type: 'UPDATE', update: { status: next } });
        if (answer === 'taken') continue;
        sent.delete(next.uuid!);
        if (answer === 'later') break;
        // It will never be taken, and must not stand in the way of others.
        note({ kind: 'acknowledged', task_id: next.task_id.value, uuid: next.uuid! });
      }
    } finally {
      sending = false;
    }
    ring();
  };
  const nextToSend = () => {
    const now = clock.monotonic();
    return updates.waiting.find(({ uuid }) => (sent.get(uuid!) ?? Number.NEGATIVE_INFINITY) + timings.resend_ms <= now);
  };
  /** Looks again later as long as anything is unacknowledged, and leaves when nothing is left to be done. */
  const ring = () => {
    alarm?.cancel();
    if (closed) return;
    if (updates.waiting.length > 0) alarm = clock.wakeAt(clock.now() + timings.retry_ms, () => void sendAll());
    considerLeaving();
  };

  // --- coming and going --------------------------------------------------------------------------------------------

  const considerLeaving = () => {
    const done = [...attendants.values()].every(attendant => attendant.isOver());
    if (!done || (attendants.size === 0 && Object.keys(updates.tasks).length === 0 && leaving === undefined)) {
      farewell?.cancel();
      farewell = undefined;
      return;
    }
    if (leaving !== undefined && (agent_is_gone || isOver(updates))) return goodbye(leaving);
    if (farewell !== undefined) return;
    let heard_at = clock.monotonic();
    const look = () => {
      if (isOver(updates)) return goodbye(leaving ?? 'all tasks are over');
      // An agent that is away will want to know when it is back.
      if (!subscribed) heard_at = clock.monotonic();
      if (clock.monotonic() - heard_at > timings.last_word_ms)
        return goodbye('the agent no longer acknowledges anything');
      farewell = clock.wakeAt(clock.now() + timings.idle_ms, look);
    };
    farewell = clock.wakeAt(clock.now() + (leaving === undefined ? timings.idle_ms : 0), look);
  };
  const goodbye = (why: string) => {
    if (closed) return;
    close();
    options.over(why);
  };
  const close = () => {
    if (closed) return;
    closed = true;
    alarm?.cancel();
    farewell?.cancel();
    patience?.cancel();
    for (const attendant of attendants.values()) attendant.close();
    link?.close();
    checkpoint.close();
  };
  /** Ends all tasks, and then itself. */
  const leave = (why: string, within_ms: number) => {
    if (leaving === undefined) noted('leaving', { why });
    leaving ??= why;
    for (const attendant of attendants.values()) attendant.tell({ type: 'hurry', within_ms, why });
    considerLeaving();
  };

  // --- tasks -------------------------------------------------------------------------------------------------------

  const take = ({ task_info, host, at, earlier }: Taken) => {
    const task_id = task_info.task_id.value;
    const launch = readLaunch(task_info, host);
    if (!launch.ok) {
      const message = launch.problems.map(one => `${one.place}: ${one.message} (expected ${one.expected})`).join('; ');
      return say(task_id, 'TASK_ERROR', { reason: 'REASON_TASK_INVALID', message });
    }
    const attendant = attend({
      launch: launch.value,
      task_info,
      launched_at: at,
      records: earlier,
      sandbox,
      porter: options.porter,
      boot,
      own_environment: options.own_environment,
      show_ms: timings.show_ms,
      clock,
      wall: options.wall,
      append: news => checkpoint.append(news.map(record => ({ ...record, task_id }))),
      say: said => sayOf(task_id, said),
      withdraw: () => send({ type: 'withdraw', task_id }),
      noted: (message, about) => noted(message, { task: task_id, ...about }),
    });
    attendants.set(task_id, attendant);
  };
  const launch = (task_info: TaskInfo) => {
    const task_id = task_info.task_id.value;
    if (updates.tasks[task_id] !== undefined) return noted('launched twice', { task: task_id });
    const at = clock.now();
    note({ kind: 'launched', task_info, hostname, at });
    if (leaving !== undefined) return say(task_id, 'TASK_KILLED', { message: leaving });
    take({ task_info, host: hostname, at, earlier: [] });
  };
  const hear = (event: AgentEvent) => {
    switch (event.type) {
      case 'SUBSCRIBED': {
        const { agent_info, framework_info, container_id } = event.subscribed;
        hostname = agent_info.hostname;
        says_killing = framework_info.capabilities?.some(({ type }) => type === 'TASK_KILLING_STATE') ?? false;
        subscribed = true;
        noted('subscribed', { agent: agent_info.id?.value, container: container_id?.value });
        // The list that went with SUBSCRIBE was taken; what was said since then goes now.
        void sendAll();
        for (const attendant of attendants.values()) attendant.tell({ type: 'connected' });
        patience?.cancel();
        patience = clock.wakeAt(clock.now() + timings.first_task_ms, () => {
          // Idle it would hold its resources for ever.
          if (Object.keys(updates.tasks).length === 0) leave('no task was launched', 0);
        });
        return;
      }
      case 'LAUNCH':
        launch(event.launch.task);
        return;
      case 'LAUNCH_GROUP':
        for (const task of event.launch_group.task_group.tasks) launch(task);
        return;
      case 'KILL': {
        const { task_id, kill_policy } = event.kill;
        const nanoseconds = kill_policy?.grace_period?.nanoseconds;
        noted('told to kill', { task: task_id.value });
        attendants
          .get(task_id.value)
          ?.tell({ type: 'kill', ...(nanoseconds === undefined ? {} : { grace_ms: nanoseconds / 1e6 }) });
        return;
      }
      case 'ACKNOWLEDGED': {
        const { task_id, uuid } = event.acknowledged;
        sent.delete(uuid);
        // An agent acknowledges a repeated update twice.
        if (!updates.waiting.some(status => status.uuid === uuid)) return;
        note({ kind: 'acknowledged', task_id: task_id.value, uuid });
        ring();
        return;
      }
      case 'MESSAGE':
        hearMessage(event.message.data);
        return;
      case 'SHUTDOWN':
        leave('the agent says so', Math.max(0, introduction.shutdown_grace_ms - timings.shutdown_margin_ms));
        return;
      case 'ERROR':
        leave(`the agent says: ${event.error.message}`, introduction.shutdown_grace_ms);
        return;
      case 'HEARTBEAT':
        return;
    }
    // Newer agents may say more.
    noted('an event that nobody here knows', { event: (event as { type: unknown }).type });
  };
  /**
   * `{"type": "report"}` is answered with how everything stands. `{"type": "withdrawn", "task_id": ...}` answers our own
   * `withdraw`. `{"type": "snooze", "task_id": ..., "until": ...}` and `wake` are for its health checks. Like all messages of
   * Mesos they may get lost, so nobody waits for one for ever.
   */
  const hearMessage = (data: string) => {
    const { type, task_id, until } = readMessage(data);
    const attendant = attendants.get(String(task_id));
    if (type === 'report')
      send({ type, tasks: Object.fromEntries([...attendants].map(([id, attendant]) => [id, attendant.report()])) });
    else if (type === 'withdrawn') attendant?.tell({ type: 'withdrawn' });
    else if (type === 'snooze') attendant?.snooze(typeof until === 'number' ? { until } : {});
    else if (type === 'wake') attendant?.snooze(undefined);
    else noted('a message that nobody here understands', { bytes: data.length });
  };
  const send = (message: object) => {
    const data = Buffer.from(JSON.stringify(message)).toString('base64');
    // Before there is a line: whatever must be known is said again when there is one.
    void link?.call({ type: 'MESSAGE', message: { data } });
  };

  // --- waking up ---------------------------------------------------------------------------------------------------

  for (const record of records) if (isUpdate(record)) updates = noteUpdate(updates, record);
  const unfinished = restored(records);
  if (records.length > 0) noted('started again', { tasks: unfinished.length, records: records.length });
  // Before anybody is called: the call tells what became of them while nobody was there.
  for (const one of unfinished) take(one);
  link = connectToAgent(introduction, clock, {
    subscribe: () => {
      subscribed = false;
      sent.clear();
      for (const { uuid } of updates.waiting) sent.set(uuid!, clock.monotonic());
      return { type: 'SUBSCRIBE', subscribe: unacknowledged(updates) };
    },
    event: hear,
    away: () => {
      subscribed = false;
    },
    over(why) {
      noted('the agent is gone for good', { why });
      // Nobody will hear of it, but nothing may be left running.
      agent_is_gone = true;
      leave(why, introduction.shutdown_grace_ms);
    },
    noted,
  });
  return { close };
}

function readMessage(data: string): {
  readonly type?: unknown;
  readonly task_id?: unknown;
  readonly until?: unknown;
} {
  try {
    const message: unknown = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
    return typeof message === 'object' && message !== null ? message : {};
  } catch {
    return {}; // Anybody may send anything.
  }
}

const isUpdate = (record: ExecutorRecord): record is UpdateRecord =>
  record.kind === 'launched' || record.kind === 'said' || record.kind === 'acknowledged';

type Taken = {
  readonly task_info: TaskInfo;
  readonly host: string;
  readonly at: number;
  readonly earlier: TaskRecord[];
};

/** Tasks of which the last word has not been said, with what had become of them. */
function restored(records: readonly ExecutorRecord[]): readonly Taken[] {
  const tasks = new Map<string, Taken>();
  for (const record of records) {
    if (record.kind === 'launched') {
      const { task_info, hostname: host, at } = record;
      tasks.set(task_info.task_id.value, { task_info, host, at, earlier: [] });
    } else if (record.kind === 'said') {
      if (isTerminal(record.status.state)) tasks.delete(record.status.task_id.value);
    } else if (record.kind !== 'acknowledged') {
      const { task_id, ...rest } = record;
      tasks.get(task_id)?.earlier.push(rest);
    }
  }
  return [...tasks.values()];
}
