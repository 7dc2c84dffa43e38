// simulated-agent.ts: machines on which nothing runs: tasks that start and end because the clock says so.
//
// A fleet of agents behind one clock. What a task does is a line of script read before it starts (how long, and how it
// ends); from then on only kills and lost connections change it. Updates are kept until acknowledged, as a real agent
// keeps them, so an agent that is lost for a while brings back everything that happened meanwhile.

import { Book } from '../../schedules/book.ts';
import type { Clock, Instant, Wake } from '../../schedules/clock.ts';
import {
  type Attribute,
  type Resource,
  type TaskInfo,
  type TaskState,
  type TaskStatus,
  terminal_states,
  type Url,
} from '../protocol.ts';
import { Alarms } from './alarms.ts';
import type { MasterHost } from './host.ts';
import type { Defer } from './link.ts';
import type { AgentInfo, AgentOrder, AgentUpdate, Launch } from './messages.ts';
import { type Exit, textOfExit } from './signals.ts';

/** What becomes of a task when nobody interferes. */
export type Life = {
  /** From the launch to the running process. */
  readonly start_delay_ms: number;
  /** From there to its end; absent for one that runs until it is killed. */
  readonly duration_ms?: number;
  readonly exit: Exit;
  /** It never gets as far: the agent cannot launch it, for this reason. */
  readonly refused?: string;
  /** What its health check finds, and when after its start. As many failures in a row as it allows, and it is killed. */
  readonly health?: readonly { readonly after_ms: number; readonly healthy: boolean }[];
  /** What its check finds: `{ exit_code: 1 }`, `{ succeeded: true }`, `{ status_code: 200 }`. */
  readonly checks?: readonly { readonly after_ms: number; readonly result: Readonly<Record<string, unknown>> }[];
  /** Its executor is killed under it at its end, and takes the exit code along. */
  readonly lost?: boolean;
  /** How long it takes to end after SIGTERM; absent for one that ignores it and must be killed. */
  readonly term_ms?: number;
};

export type FleetOptions = {
  readonly agents: number;
  readonly ids_prefix: string;
  readonly resources: (index: number) => readonly Resource[];
  readonly attributes?: (index: number) => readonly Attribute[];
  readonly hostname?: (index: number) => string;
  /** Where each could be asked for files, if it were real. */
  readonly url?: (index: number) => Url;
  /** Decides the life of every task; `lifeOfCommand` reads it from the command. */
  readonly life?: (task: TaskInfo) => Life;
  /** Whether TASK_STARTING is told before TASK_RUNNING, as real executors do. */
  readonly starting?: boolean;
};

export interface Fleet {
  readonly ids: readonly string[];
  /** Tasks that have not ended. */
  running(): number;
  /** Every launch there ever was, by task id: a task launched twice is a fault that tests look for. */
  launches(task_id: string): number;
  /** Breaks an agent's connection. With `reboot` its tasks are gone when it comes back. */
  lose(id: string, options?: { readonly reboot?: boolean }): void;
  /** Brings a lost agent back with whatever it still has. */
  restore(id: string): void;
  close(): void;
}

/** What of a task is needed once it runs. The rest, its command above all, would be most of what a fleet holds. */
type Kept = Pick<TaskInfo, 'task_id' | 'resources' | 'kill_policy' | 'max_completion_time' | 'check' | 'health_check'>;
function kept({ task_id, resources, kill_policy, max_completion_time, check, health_check }: TaskInfo): Kept {
  return {
    task_id,
    resources,
    ...(kill_policy === undefined ? {} : { kill_policy }),
    ...(max_completion_time === undefined ? {} : { max_completion_time }),
    ...(check === undefined ? {} : { check }),
    ...(health_check === undefined ? {} : { health_check }),
  };
}

type SimulatedTask = {
  readonly framework_id: string;
  readonly info: Kept;
  readonly executor_id: string;
  readonly executor: Launch['executor'];
  readonly life: Life;
  acknowledged: TaskState;
  pending: readonly TaskStatus[];
  /** Counts its turns of fate, so that an alarm for an earlier one rings for nothing. */
  fate: number;
  phase: 'starting' | 'running' | 'killing' | 'ended';
  /** What its health check found last, and how often it failed since it was well. */
  healthy: boolean | undefined;
  failures: number;
};

type SimulatedAgent = {
  info: AgentInfo;
  /** Its tasks, by framework and then by id: a key of both would be made anew for every update. */
  readonly frameworks: Map<string, Book<string, SimulatedTask>>;
  connected: boolean;
  /** Updates made in this turn, told together. */
  readonly untold: AgentUpdate[];
};

function tasksOf({ frameworks }: SimulatedAgent, framework_id: string): Book<string, SimulatedTask> {
  const known = frameworks.get(framework_id);
  if (known !== undefined) return known;
  const made = new Book<string, SimulatedTask>();
  frameworks.set(framework_id, made);
  return made;
}
const tasksOn = ({ frameworks }: SimulatedAgent): SimulatedTask[] =>
  [...frameworks.values()].flatMap(tasks => [...tasks.values()]);

type Fate = {
  readonly agent: SimulatedAgent;
  readonly task: SimulatedTask;
  readonly fate: number;
  readonly happen: () => void;
};

export function simulatedFleet(host: MasterHost, clock: Clock, defer: Defer, options: FleetOptions): Fleet {
  const life = options.life ?? lifeOfCommand;
  const agents = new Map<string, SimulatedAgent>();
  const fates = new Alarms<Fate>();
  const launched = new Map<string, number>();
  let telling: SimulatedAgent[] = [];
  let alive = 0;
  let updates = 0;
  let wake: Wake | undefined;
  let wake_at: Instant | undefined;
  let turn_deferred = false;
  let open = true;

  /** Everything due, then everything that came of it, in one turn of `defer`. */
  const later = () => {
    if (turn_deferred) return;
    turn_deferred = true;
    defer(turn);
  };
  const turn = () => {
    turn_deferred = false;
    if (!open) return;
    const now = clock.now();
    for (let due = fates.ring(now); due !== undefined; due = fates.ring(now))
      if (due.what.task.fate === due.what.fate) due.what.happen();
    const now_telling = telling;
    telling = [];
    for (const agent of now_telling) {
      const told = agent.untold.splice(0);
      if (agent.connected && told.length > 0) host.updates(agent.info.id, told);
    }
    arm();
  };
  const arm = () => {
    const { next } = fates;
    if (next === undefined) return;
    if (next <= clock.now()) {
      later();
      return;
    }
    if (wake_at !== undefined && wake_at <= next) return;
    wake?.cancel();
    wake_at = next;
    wake = clock.wakeAt(next, () => {
      wake_at = undefined;
      later();
    });
  };

  const tell = (agent: SimulatedAgent, task: SimulatedTask, state: TaskState, more: Partial<TaskStatus> = {}) => {
    const status: TaskStatus = {
      task_id: task.info.task_id,
      state,
      source: 'SOURCE_EXECUTOR',
      agent_id: { value: agent.info.id },
      executor_id: { value: task.executor_id },
      timestamp: clock.now() / 1000,
      uuid: uuidOf(updates++),
      ...(task.info.check === undefined ? {} : { check_status: checkStatusOf(task.info.check, {}) }),
      ...more,
    };
    task.pending = [...task.pending, status];
    if (agent.untold.push({ framework_id: task.framework_id, status }) === 1) telling.push(agent);
    later();
  };

  const fate = (agent: SimulatedAgent, task: SimulatedTask, in_ms: number, happen: () => void) => {
    fates.set(clock.now() + in_ms, { agent, task, fate: ++task.fate, happen });
    arm();
  };

  const end = (agent: SimulatedAgent, task: SimulatedTask, state: TaskState, more: Partial<TaskStatus>) => {
    task.phase = 'ended';
    task.fate++;
    alive--;
    tell(agent, task, state, more);
  };

  const endAsAgent = (agent: SimulatedAgent, task: SimulatedTask, reason: string, message: string) =>
    end(agent, task, 'TASK_FAILED', { message, source: 'SOURCE_AGENT', reason });

  const launch = (agent: SimulatedAgent, framework_id: string, { task: info, executor_id, executor }: Launch) => {
    const id = info.task_id.value;
    launched.set(id, (launched.get(id) ?? 0) + 1);
    const task: SimulatedTask = {
      framework_id,
      info: kept(info),
      executor_id,
      executor,
      life: life(info),
      acknowledged: 'TASK_STAGING',
      pending: [],
      fate: 0,
      phase: 'starting',
      healthy: undefined,
      failures: 0,
    };
    tasksOf(agent, framework_id).set(id, task);
    alive++;
    fate(agent, task, task.life.start_delay_ms, () => {
      const { refused } = task.life;
      if (refused !== undefined) {
        endAsAgent(agent, task, 'REASON_CONTAINER_LAUNCH_FAILED', `Failed to launch container: ${refused}`);
        return;
      }
      if (options.starting !== false) tell(agent, task, 'TASK_STARTING');
      task.phase = 'running';
      tell(agent, task, 'TASK_RUNNING');
      live(agent, task);
      watch(agent, task);
    });
  };

  /** How its time ends when nobody interferes. */
  const live = (agent: SimulatedAgent, task: SimulatedTask) => {
    const { duration_ms, exit, lost } = task.life;
    const time_ns = task.info.max_completion_time?.nanoseconds;
    if (time_ns !== undefined && time_ns / 1e6 <= (duration_ms ?? Number.POSITIVE_INFINITY)) {
      fate(agent, task, time_ns / 1e6, () => {
        const reason = 'REASON_MAX_COMPLETION_TIME_REACHED';
        end(agent, task, 'TASK_FAILED', { message: textOfExit({ signal: 15 }), reason });
      });
      return;
    }
    if (duration_ms === undefined) return;
    fate(agent, task, duration_ms, () => {
      if (lost === true) {
        endAsAgent(agent, task, 'REASON_EXECUTOR_TERMINATED', 'Executor terminated');
        return;
      }
      const finished = 'code' in exit && exit.code === 0;
      end(agent, task, finished ? 'TASK_FINISHED' : 'TASK_FAILED', { message: textOfExit(exit), data: dataOf(exit) });
    });
  };

  /** What its checks find meanwhile; nobody looks any more once it is being killed. */
  const watch = (agent: SimulatedAgent, task: SimulatedTask) => {
    const { health, checks } = task.life;
    const found = (after_ms: number, happen: () => void) => {
      fates.set(clock.now() + after_ms, { agent, task, fate: task.fate, happen });
      arm();
    };
    for (const { after_ms, healthy } of health ?? []) found(after_ms, () => examined(agent, task, healthy));
    for (const { after_ms, result } of checks ?? [])
      found(after_ms, () =>
        tell(agent, task, 'TASK_RUNNING', {
          reason: 'REASON_TASK_CHECK_STATUS_UPDATED',
          check_status: checkStatusOf(task.info.check, result),
          ...(task.healthy === undefined ? {} : { healthy: task.healthy }),
        }),
      );
  };

  /** Every failure is told, and the first success after one. */
  const examined = (agent: SimulatedAgent, task: SimulatedTask, healthy: boolean) => {
    const told = !healthy || task.healthy !== true;
    task.healthy = healthy;
    task.failures = healthy ? 0 : task.failures + 1;
    if (told) tell(agent, task, 'TASK_RUNNING', { reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', healthy });
    if (task.failures >= (task.info.health_check?.consecutive_failures ?? 3))
      kill(agent, task, graceOf(task.info), {}, { healthy: false });
  };

  const kill = (
    agent: SimulatedAgent,
    task: SimulatedTask,
    grace_ms: number,
    why: { readonly reason?: string } = {},
    at_the_end: Partial<TaskStatus> = {},
  ) => {
    if (task.phase === 'ended') return;
    if (task.phase === 'starting') {
      end(agent, task, 'TASK_KILLED', {
        message: 'Killed before delivery to the executor',
        source: 'SOURCE_AGENT',
        reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      });
      return;
    }
    if (task.phase === 'running') tell(agent, task, 'TASK_KILLING', why);
    task.phase = 'killing';
    const { term_ms } = task.life;
    const obeys = term_ms !== undefined && term_ms <= grace_ms && grace_ms > 0;
    fate(agent, task, obeys ? term_ms : grace_ms, () =>
      end(agent, task, 'TASK_KILLED', { message: textOfExit({ signal: obeys ? 15 : 9 }), ...why, ...at_the_end }),
    );
  };

  const obey = (agent: SimulatedAgent, order: AgentOrder) => {
    if (order.type === 'launch') {
      for (const each of order.launches) launch(agent, order.framework_id, each);
      return;
    }
    if (order.type === 'launch-on-executor') {
      // Nothing runs here, executors neither: each task lives as it says itself.
      const { framework_id, executor, tasks } = order;
      for (const task of tasks)
        launch(agent, framework_id, { task, executor_id: executor.executor_id.value, executor });
      return;
    }
    if (order.type === 'keep') {
      agent.info = { ...agent.info, resources: order.resources };
      return;
    }
    if (order.type === 'message') return; // Nobody is there to read it.
    if (order.type === 'shutdown') {
      const { framework_id, executor_id } = order;
      for (const task of tasksOf(agent, framework_id).values())
        if (task.executor_id === executor_id) kill(agent, task, 0);
      host.executorEnded(agent.info.id, { framework_id, executor_id, status: 0 });
      return;
    }
    const tasks = tasksOf(agent, order.framework_id);
    const task = tasks.get(order.task_id);
    if (task === undefined) return;
    if (order.type === 'kill') {
      const own_ms = order.grace_ms ?? graceOf(task.info);
      const grace_ms = Math.min(own_ms, order.grace_ms_max ?? own_ms);
      kill(agent, task, grace_ms, order.draining === true ? { reason: 'REASON_AGENT_DRAINING' } : {});
      return;
    }
    const first = task.pending[0];
    if (first?.uuid !== order.uuid) return;
    task.pending = task.pending.slice(1);
    task.acknowledged = first.state;
    if (terminal_states.has(first.state)) tasks.delete(order.task_id);
  };

  const register = (agent: SimulatedAgent) => {
    agent.connected = true;
    agent.untold.length = 0; // All of it is in the report.
    host.register(
      { id: agent.info.id, obey: order => obey(agent, order) },
      agent.info,
      tasksOn(agent).map(task => ({
        framework_id: task.framework_id,
        task_id: task.info.task_id.value,
        executor_id: task.executor_id,
        resources: task.info.resources,
        ...(task.executor === undefined ? {} : { executor: task.executor }),
        state: task.acknowledged,
        pending: task.pending,
      })),
    );
  };

  for (let index = 0; index < options.agents; index++) {
    const attributes = options.attributes?.(index);
    const url = options.url?.(index);
    const info: AgentInfo = {
      id: `${options.ids_prefix}-S${index}`,
      hostname: options.hostname?.(index) ?? `simulated-${index}`,
      resources: options.resources(index),
      keeps_reservations: true,
      ...(attributes === undefined ? {} : { attributes }),
      ...(url === undefined ? {} : { url }),
    };
    const agent: SimulatedAgent = { info, frameworks: new Map(), connected: false, untold: [] };
    agents.set(info.id, agent);
    register(agent);
  }

  const agentOf = (id: string) => {
    const agent = agents.get(id);
    if (agent === undefined) throw new Error(`no agent ${id}: expected one of ${options.ids_prefix}-S0 and following`);
    return agent;
  };
  return {
    ids: [...agents.keys()],
    running: () => alive,
    launches: task_id => launched.get(task_id) ?? 0,
    lose(id, how) {
      const agent = agentOf(id);
      agent.connected = false;
      if (how?.reboot === true) {
        for (const task of tasksOn(agent)) {
          task.fate++;
          if (task.phase !== 'ended') alive--;
        }
        agent.frameworks.clear();
      }
      host.agentGone(id);
    },
    restore(id) {
      register(agentOf(id));
    },
    close() {
      open = false;
      wake?.cancel();
    },
  };
}

/** Reads `sleep 1.5; exit 3` in a task's command: sleeps, then how it ends; anything else ends well at once. */
export function lifeOfCommand(task: TaskInfo): Life {
  const value = task.command?.value ?? '';
  const sleep = /(?:^|[;&\s])sleep\s+(\d+(?:\.\d+)?|infinity)/.exec(value)?.[1];
  const code = Number(/(?:^|[;&\s])exit\s+(\d+)\s*$/.exec(value)?.[1] ?? 0);
  const life = { start_delay_ms: 0, exit: { code }, term_ms: 0 };
  if (sleep === 'infinity') return life;
  return { ...life, duration_ms: Number(sleep ?? 0) * 1000 };
}

const graceOf = ({ kill_policy }: Kept) => (kill_policy?.grace_period?.nanoseconds ?? 3e9) / 1e6;

/** A check's result under the name of its kind, as Mesos has it. */
function checkStatusOf(check: unknown, result: Readonly<Record<string, unknown>>): unknown {
  const type = (check as { readonly type?: string } | undefined)?.type ?? 'COMMAND';
  return { type, [type.toLowerCase()]: result };
}

const dataOf = (exit: Exit): string =>
  btoa(JSON.stringify('code' in exit ? { exit_code: exit.code } : { signal: exit.signal }));

/** 16 bytes that count upwards, in the form of a random uuid (version 4), base64: twelve that stand, four that count. */
function uuidOf(count: number): string {
  const low = count % 2 ** 32;
  const at = (shift: number) => base64[(low >>> shift) & 63]!;
  const counting = `${at(26)}${at(20)}${at(14)}${at(8)}${at(2)}${base64[(low & 3) << 4]!}==`;
  const high = Math.floor(count / 2 ** 32);
  return standing(high) + counting;
}
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
let stands: { readonly high: number; readonly text: string } | undefined;
function standing(high: number): string {
  if (stands?.high !== high) {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, high);
    bytes[6] = 0x40;
    stands = { high, text: btoa(String.fromCharCode(...bytes)) };
  }
  return stands.text;
}
