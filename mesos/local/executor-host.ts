// executor-host.ts: the house in which custom executors live: brings the pure house its inputs and does what it says.
//
// Decisions are `executor-house.ts`; here they are written down, started, killed, sent. What was noted comes first: an
// executor is told that its update was taken when the update can be found again after a crash, and not before.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Log } from './agent-options.ts';
import { openNotebook } from './checkpoint-notebook.ts';
import { environmentOfExecutor } from './executor-environment.ts';
import { beginRecovery, transition } from './executor-house.ts';
import { type ExecutorNote, emptyMemory, notesOf, remember, settle } from './executor-notes.ts';
import type { ExecutorProcesses, Lodging, RunListener } from './executor-process.ts';
import type { ExecutorCall, ExecutorEvent } from './executor-protocol.ts';
import {
  createHouse,
  type Executor,
  type HouseInput,
  type HouseOptions,
  type HouseOutput,
  keyOf,
} from './executor-state.ts';
import type { Claims } from './executor-token.ts';
import type { Answer, MasterHost } from './host.ts';
import { capsOf } from './limits/ward.ts';
import type { AgentOrder, ReportedExecutor, ReportedTask } from './messages.ts';
import { path_default } from './sandbox.ts';

/** The far end of an executor's subscription. */
export type ExecutorStream = {
  readonly id: string;
  readonly events: (events: readonly ExecutorEvent[]) => void;
  /** Nothing comes after this. */
  readonly closed: () => void;
};

export interface ExecutorHost {
  /** False when the order is not about a custom executor or a task of one. */
  obey(order: AgentOrder): boolean;
  /** What the agent has of custom executors, for its registration. */
  report(): { readonly tasks: readonly ReportedTask[]; readonly executors: readonly ReportedExecutor[] };
  /** From now on what happens is told to the master: it has the report. */
  registered(): void;
  /** A call from outside, and who the caller proved to be; the stream serves a SUBSCRIBE. */
  call(call: ExecutorCall, claims: Claims | undefined, stream: ExecutorStream, answer: (answer: Answer) => void): void;
  streamClosed(id: string): void;
  /** Whether a sandbox of this name is lived in: an executor's, or a task's link to it. */
  isLive(name: string): boolean;
  /** The sandbox of an executor that lives. */
  sandboxOf(framework_id: string, executor_id: string): string | undefined;
  look(container_id: string): boolean;
  lookAtAll(): void;
  running(): number;
  /** Kills every executor at once; `done` when none is left. */
  killAll(done: () => void): void;
  close(): void;
}

export type ExecutorHostOptions = Omit<HouseOptions, 'newId' | 'newUuid'> & {
  readonly work_dir: string;
  readonly recovery_timeout_ms: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly master: MasterHost;
  readonly processes: (tell: RunListener) => ExecutorProcesses;
  /** What an executor shows when it calls; absent where nobody is asked. */
  readonly tokenFor: ((claims: Claims) => string) | undefined;
};

export function hostExecutors(options: ExecutorHostOptions): ExecutorHost {
  const { clock, log, master, work_dir, agent } = options;
  const house = createHouse({
    ...options,
    newId: () => randomUUID(),
    newUuid: () => Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64'),
  });
  const memory = emptyMemory();
  let settled = false;
  const notebook = openNotebook<ExecutorNote>(
    join(work_dir, 'executors.log'),
    note => remember(memory, note),
    () => {
      if (!settled) settle(house, memory);
      settled = true;
      return notesOf(house);
    },
  );
  const streams = new Map<string, ExecutorStream>();
  const wakes = new Set<Wake>();
  const emptied: (() => void)[] = [];
  const waiting: { input: HouseInput; answer?: (answer: Answer) => void }[] = [];
  let unwritten: ExecutorNote[] = [];
  let busy = false;
  let open = true;
  /** Whether the master knows of us; before, all that happens is in the report. */
  let known = false;

  const submit = (input: HouseInput, answer?: (answer: Answer) => void) => {
    if (!open) return;
    waiting.push(answer === undefined ? { input } : { input, answer });
    if (busy) return;
    busy = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        carryOut(transition(house, next.input, clock.now()), next.answer);
    } finally {
      busy = false;
    }
    if (house.executors.size === 0) for (const done of emptied.splice(0)) done();
  };

  const processes = options.processes({
    started: (container_id, pid) => submit({ type: 'started', container_id, pid }),
    exited: (container_id, end) => submit({ type: 'exited', container_id, ...end }),
  });

  /** Writes down what could not be written before, then this. False when the disk takes nothing. */
  const note = (notes: readonly ExecutorNote[]): boolean => {
    unwritten.push(...notes);
    if (unwritten.length === 0) return true;
    try {
      notebook.note(unwritten);
      unwritten = [];
      return true;
    } catch (error) {
      log.error({ error: String(error) }, `the agent cannot write to ${work_dir}: free some space there`);
      return false;
    }
  };

  const carryOut = (outputs: readonly HouseOutput[], answer: ((answer: Answer) => void) | undefined) => {
    const written = note(outputs.flatMap(output => (output.type === 'note' ? output.notes : [])));
    for (const output of outputs) {
      switch (output.type) {
        case 'note':
          break; // Done first.
        case 'answer':
          // What was taken and not written down might be lost: the executor shall keep it and come again.
          if (!written && output.status < 300) answer?.({ status: 503, text: 'Agent cannot write its checkpoint' });
          else answer?.(output);
          break;
        case 'events':
          send(output, written);
          break;
        case 'close':
          streams.get(output.stream)?.closed();
          streams.delete(output.stream);
          break;
        case 'start':
          start(output.executor, written);
          break;
        case 'destroy':
          processes.destroy(output.container_id);
          break;
        case 'gone':
          processes.forget(output.container_id);
          break;
        case 'updates':
          for (const { status } of output.updates)
            log.info({ task: status.task_id.value, state: status.state, reason: status.reason }, 'task of an executor');
          if (known) master.updates(agent.id, output.updates);
          break;
        case 'message':
          if (known) master.executorMessage(agent.id, output);
          break;
        case 'ended':
          log.info({ executor: output.executor_id, status: output.status }, 'executor ended');
          if (known) master.executorEnded(agent.id, output);
          break;
        case 'wake':
          wakeAt(output);
          break;
      }
    }
  };

  const send = ({ stream, events }: Extract<HouseOutput, { type: 'events' }>, written: boolean) => {
    const said = written ? events : events.filter(({ type }) => type !== 'ACKNOWLEDGED');
    if (said.length > 0) streams.get(stream)?.events(said);
  };

  const wakeAt = ({ at, alarm }: Extract<HouseOutput, { type: 'wake' }>) => {
    const wake = clock.wakeAt(at, () => {
      wakes.delete(wake);
      submit({ type: 'woken', alarm });
    });
    wakes.add(wake);
  };

  const start = (executor: Executor, written: boolean) => {
    const { container_id, framework_id, framework, info } = executor;
    const refuse = (why: string) =>
      submit({ type: 'exited', container_id, status: 256, launch_failure: `nothing can be written: ${why}` });
    if (!written) {
      refuse(`the disk of ${work_dir} is full`);
      return;
    }
    // What will be started is on the disk before it is: after a power cut too nobody runs of whom we do not know.
    notebook.sync(error => {
      if (!open) return;
      if (error !== undefined) {
        refuse(error.message);
        return;
      }
      // Meanwhile its time may have run out, or it was told to go: then it need not come at all.
      if (executor.phase === 'terminating') {
        submit({ type: 'exited', container_id, status: 9 });
        return;
      }
      const token = options.tokenFor?.({ fid: framework_id, eid: executor.id, cid: container_id });
      processes.start({
        ...lodgingOf(executor),
        command: info.command ?? {},
        container: info.container,
        environment: sandbox =>
          environmentOfExecutor(framework_id, framework, info, {
            agent_id: agent.id,
            endpoint: `127.0.0.1:${options.port}`,
            sandbox,
            path: path_default,
            shutdown_grace_ms: options.shutdown_grace_ms,
            backoff_ms_max: options.recovery_ms,
            recovery_timeout_ms: options.recovery_timeout_ms,
            token,
          }),
      });
    });
  };

  /** Before the master hears of us: who lives is awaited, who does not is written off. */
  const recover = () => {
    for (const executor of [...house.executors.values()]) {
      const { container_id, boot, framework } = executor;
      const end = processes.adopt(lodgingOf(executor), boot);
      if (framework.checkpoint !== true) {
        // Its framework has been told that it is lost. Mesos lets it run on; nobody is served by that.
        abandon(executor);
        if (end === undefined) processes.destroy(container_id);
      } else if (end !== undefined) submit({ type: 'exited', container_id, ...end });
    }
    carryOut(beginRecovery(house, clock.now()), undefined);
  };
  const abandon = ({ framework_id, id, live, container_id }: Executor) => {
    for (const task of live.values()) house.tasks.delete(keyOf(framework_id, task.id));
    house.executors.delete(keyOf(framework_id, id));
    note([{ type: 'ended', container_id }]);
  };

  if (!settled) settle(house, memory);
  settled = true;
  recover();

  return {
    obey(order) {
      if (!open) return true;
      switch (order.type) {
        case 'launch':
          return false;
        case 'launch-on-executor': {
          submit({ ...order, type: 'launch' });
          const executor = house.executors.get(keyOf(order.framework_id, order.executor.executor_id.value));
          if (executor === undefined) return true;
          for (const { task_id } of order.tasks)
            if (executor.live.has(task_id.value)) processes.link(task_id.value, executor.container_id);
          processes.raise(executor.container_id, lodgingOf(executor).caps);
          return true;
        }
        case 'kill': {
          if (!house.tasks.has(keyOf(order.framework_id, order.task_id))) return false;
          submit(order);
          return true;
        }
        case 'acknowledge': {
          if (!house.tasks.has(keyOf(order.framework_id, order.task_id))) return false;
          submit(order);
          return true;
        }
        case 'keep':
          return false; // Nothing of this agent's is ever reserved.
        default:
          submit(order);
          return true;
      }
    },
    report: () => ({
      tasks: [...house.tasks.values()].map(task => ({
        framework_id: task.framework_id,
        task_id: task.id,
        executor_id: task.executor.id,
        resources: task.info.resources,
        // One that has ended holds nothing any more, and its id is free.
        ...(house.executors.get(keyOf(task.framework_id, task.executor.id)) === task.executor
          ? { executor: task.executor.info }
          : {}),
        state: task.acknowledged,
        pending: [...task.pending],
      })),
      executors: [...house.executors.values()].map(({ framework_id, info }) => ({ framework_id, executor: info })),
    }),
    registered() {
      known = true;
    },
    call(call, claims, stream, answer) {
      const executor = house.executors.get(keyOf(call.framework_id.value, call.executor_id.value));
      if (claims !== undefined && executor !== undefined && claims.cid !== executor.container_id) {
        const principal = JSON.stringify({ claims });
        const wanted = `a 'cid' claim with the container ID ${executor.container_id}`;
        answer({ status: 403, text: `Authenticated principal '${principal}' does not contain ${wanted}` });
        return;
      }
      if (call.type === 'SUBSCRIBE') streams.set(stream.id, stream);
      submit({ type: 'call', call, stream: stream.id }, said => {
        if (said.status !== 200) streams.delete(stream.id);
        answer(said);
      });
    },
    streamClosed(id) {
      if (streams.delete(id)) submit({ type: 'stream-closed', stream: id });
    },
    isLive(name) {
      for (const { container_id } of house.executors.values()) if (container_id === name) return true;
      for (const task of house.tasks.values()) if (task.id === name) return true;
      return false;
    },
    sandboxOf: (framework_id, id) => house.executors.get(keyOf(framework_id, id))?.container_id,
    look: processes.look,
    lookAtAll: processes.lookAtAll,
    running: () => house.executors.size,
    killAll(done) {
      if (house.executors.size === 0) {
        done();
        return;
      }
      emptied.push(done);
      for (const { container_id } of house.executors.values()) processes.destroy(container_id);
    },
    close() {
      open = false;
      for (const wake of wakes) wake.cancel();
      for (const { closed } of streams.values()) closed();
      streams.clear();
      processes.close();
      notebook.close();
    },
  };
}

/** A run of an executor, with what it and the tasks that it has may use. */
const lodgingOf = ({ container_id, framework_id, id, info, live }: Executor): Lodging => ({
  container_id,
  framework_id,
  executor_id: id,
  caps: capsOf(
    [...live.values()].map(({ info }) => info.resources),
    info.resources,
  ),
});
