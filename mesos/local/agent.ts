// agent.ts: the real agent: tasks as processes of this machine, none lost and none twice, whoever is killed and when.
//
// Think of a ward with night porters (`wrapper.ts`). The agent writes down whom it will admit before it does, and may then
// be struck by lightning at any point: what it needs to know afterwards stands in its notebook (`checkpoint.ts`), in what
// the porters wrote, and in what the kernel says of their processes.

import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Wake } from '../../schedules/clock.ts';
import { type TaskState, type TaskStatus, terminal_states } from '../protocol.ts';
import { readResult } from '../result-file.ts';
import { heedAttendants, statusOfLimitation } from './agent-containers.ts';
import { agentFiles } from './agent-files.ts';
import { type AgentOptions, executor_settings, infoOf, type RealAgent } from './agent-options.ts';
import { sessionsOf } from './agent-sessions.ts';
import { watchFolder } from './agent-watch.ts';
import { type Checkpoint, type Killing, type Note, openCheckpoint, type Remembered, reportOf } from './checkpoint.ts';
import { isAttended, neverBegan, signalCommand, signedAt, wrapperOf } from './claims.ts';
import { docker_defaults, hostContainers } from './docker/containers.ts';
import { isContained } from './docker/request.ts';
import { hostExecutors } from './executor-host.ts';
import { executorProcesses, fetchedIn } from './executor-process.ts';
import { serveExecutors } from './executor-server.ts';
import { claimsOf, keepTokenKey, tokenOf } from './executor-token.ts';
import { sweepFetched } from './fetch/cache.ts';
import { fetch_defaults } from './fetch/fetcher.ts';
import type { MasterHost } from './host.ts';
import { statistics, usageOf } from './limits/statistics.ts';
import { openWarden, warden_defaults } from './limits/warden.ts';
import type { AgentOrder, Launch } from './messages.ts';
import { bootId, readIfThere, whyNoTasks } from './processes.ts';
import { pathsOf } from './sandbox.ts';
import { keepSandboxes } from './sandbox-sweep.ts';
import type { Secrets } from './secrets.ts';
import { textOfExit } from './signals.ts';
import { type Furnished, furnish, graceOf, leaveNothing, startTask, wardOf, whyNotBegun } from './task-process.ts';
import { agentId, forget, keepPort, keepWrapper, lockWorkDir, portBefore } from './work-dir.ts';
import { type Ending, parseEnding } from './wrapper.ts';

type Task = Remembered & {
  readonly id: string;
  readonly paths: ReturnType<typeof pathsOf>;
  /** waiting: noted, not started. running: its wrapper was started. ended: its last update is made. */
  phase: 'waiting' | 'running' | 'ended';
  wrapper: ChildProcess | undefined;
  /** For SIGKILL after the grace period, and for the end of the time it has. */
  alarms: Wake[];
};

/** How often adopted tasks are looked at, should word of their end have been missed. */
const poll_ms = 5_000;
const sweep_ms = 3_600_000;
/** Wrappers started before others get their turn on the event loop. */
const starts_per_turn = 8;

export function startAgent(host: MasterHost, options: AgentOptions): RealAgent {
  const { work_dir, clock, log } = options;
  const no = whyNoTasks();
  if (no !== undefined) throw new Error(`the local agent cannot run here: ${no}`);
  const boot = bootId();
  for (const folder of ['meta', 'ended']) mkdirSync(join(work_dir, folder), { recursive: true, mode: 0o700 });
  const unlock = lockWorkDir(work_dir, boot);
  const before = portBefore(work_dir);
  if (before !== undefined && before !== options.door.port)
    log.warn(
      { port: options.door.port, before },
      'somebody else listens where this agent did: executors that outlived it will not find it, and are ended',
    );
  keepPort(work_dir, options.door.port);
  const id = agentId(work_dir);
  mkdirSync(join(work_dir, 'sandboxes', id), { recursive: true, mode: 0o750 });
  const wrapper_path = keepWrapper(work_dir);

  const warden = openWarden(id, { ...warden_defaults, ...options.limits }, { clock, log, boot });
  const docker = { ...docker_defaults, ...options.docker };
  const containers = hostContainers({ work_dir, agent_id: id, docker, log });
  const fetching = { fetch: { ...fetch_defaults, ...options.fetch }, fetched: fetchedIn(work_dir) };
  const own = { work_dir, agent_id: id, wrapper_path, boot, log, secrets: options.secrets };
  const ground = { ...own, warden, containers, ...fetching };

  const tasks = new Map<string, Task>();
  const checkpoint: Checkpoint = openCheckpoint(join(work_dir, 'checkpoint.log'), () => tasks.values());
  let open = true;
  const ready: Task[] = [];
  let starting = false;
  let poll: Wake | undefined;
  let sweep: Wake | undefined;
  const idle: (() => void)[] = [];

  // --- updates --------------------------------------------------------------------------------------------------

  const statusOf = (task: Task, status: Partial<TaskStatus> & { readonly state: TaskState }): TaskStatus => ({
    task_id: { value: task.id },
    source: 'SOURCE_EXECUTOR',
    agent_id: { value: id },
    executor_id: { value: task.launch.executor_id },
    timestamp: clock.now() / 1000,
    uuid: Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64'),
    ...status,
  });

  /**
   * False when the disk takes no more. The intent of a task must be noted or it does not start; of the rest nothing is
   * lost, for after a restart it is found out again from the wrapper's word or sent again.
   */
  const note = (notes: readonly Note[]): boolean => {
    try {
      checkpoint.note(notes);
      return true;
    } catch (error) {
      log.error({ error: String(error) }, `the agent cannot write to ${work_dir}: free some space there`);
      return false;
    }
  };

  const tell = (task: Task, statuses: readonly (Partial<TaskStatus> & { readonly state: TaskState })[]) => {
    const made = statuses.map(status => statusOf(task, status));
    task.pending.push(...made);
    note(made.map(status => ({ type: 'update', task: task.id, status })));
    host.updates(
      id,
      made.map(status => ({ framework_id: task.framework_id, status })),
    );
  };

  const end = (task: Task, status: Partial<TaskStatus> & { readonly state: TaskState }) => {
    task.phase = 'ended';
    task.wrapper = undefined;
    for (const alarm of task.alarms.splice(0)) alarm.cancel();
    sessions.release(task.id);
    leaveNothing(task, ground);
    tell(task, [status]);
    log.info({ task: task.id, state: status.state, reason: status.reason }, status.message ?? 'task ended');
    if (left() === 0) for (const wake of idle.splice(0)) wake();
  };
  const endAsAgent = (task: Task, state: TaskState, reason: string, message: string) =>
    end(task, { state, reason, message, source: 'SOURCE_AGENT' });

  /** Plain tasks that have not ended. */
  const left = () => {
    let count = 0;
    for (const task of tasks.values()) if (task.phase !== 'ended') count++;
    return count;
  };

  const attendants = heedAttendants<Task>(containers, boot, {
    isOpen: () => open,
    tell,
    end,
    began: (task, at_ms) => armCompletion(task, at_ms),
  });

  // --- launch ---------------------------------------------------------------------------------------------------

  const launch = (framework_id: string, launches: readonly Launch[]) => {
    const at = clock.now();
    const admitted: Task[] = [];
    for (const each of launches) {
      const task = taskOf({
        framework_id,
        launch: each,
        at,
        boot,
        acknowledged: 'TASK_STAGING',
        pending: [],
        killing: undefined,
      });
      if (tasks.has(task.id)) {
        // Known and not forgotten: a second copy is the one thing that must never be.
        // Nothing is noted: should this word get lost, the master will not find the task here, and say so itself.
        const message = 'Failed to launch container: the task id is in use on this agent';
        const reason = 'REASON_CONTAINER_LAUNCH_FAILED';
        const status = statusOf(task, { state: 'TASK_FAILED', source: 'SOURCE_AGENT', reason, message });
        host.updates(id, [{ framework_id, status }]);
        continue;
      }
      tasks.set(task.id, task);
      admitted.push(task);
    }
    if (!note(admitted.map(task => ({ type: 'intent', framework_id, launch: task.launch, at, boot })))) {
      for (const task of admitted) refuse(task, new Error(`nothing can be written to ${work_dir}`));
      return;
    }
    checkpoint.sync(error => {
      if (!open) return;
      for (const task of admitted) {
        if (task.phase !== 'waiting') continue; // Killed meanwhile.
        if (error === undefined) ready.push(task);
        else refuse(task, error);
      }
      startSome();
    });
  };

  const startSome = () => {
    if (starting) return;
    starting = true;
    const turn = () => {
      starting = false;
      if (!open) return;
      for (const task of ready.splice(0, starts_per_turn)) if (task.phase === 'waiting') start(task);
      if (ready.length > 0) {
        starting = true;
        setImmediate(turn);
      }
    };
    turn();
  };

  const refuse = (task: Task, error: unknown) =>
    endAsAgent(
      task,
      'TASK_FAILED',
      'REASON_CONTAINER_LAUNCH_FAILED',
      `Failed to launch container: ${error instanceof Error ? error.message : String(error)}`,
    );

  const start = (task: Task) => {
    const stop = new AbortController();
    try {
      const furnished = furnish(task, ground, clock.now(), stop.signal);
      if (furnished.fetched === undefined) return begin(task, furnished);
      // Whatever ends the task ends its fetching.
      task.alarms.push({ cancel: () => stop.abort() });
      const still = () => open && task.phase === 'waiting';
      furnished.fetched.then(
        secrets => still() && begin(task, furnished, secrets),
        error => still() && refuse(task, error),
      );
    } catch (error) {
      refuse(task, error);
    }
  };

  const begin = (task: Task, furnished: Furnished, secrets?: Secrets) => {
    try {
      const contained = isContained(task.launch.task);
      const wrapper = startTask(task, furnished, ground, secrets);
      // An error without a pid is a wrapper that was never there; `start` sees that below.
      wrapper.on('error', error => {
        if (open && task.phase !== 'ended') refuse(task, error);
      });
      if (wrapper.pid === undefined) return;
      task.wrapper = wrapper;
      wrapper.on('exit', () => {
        if (open && task.phase === 'running') wrapperGone(task);
      });
      task.phase = 'running';
      if (contained) {
        tell(task, [{ state: 'TASK_STARTING' }]);
        return; // It runs when its attendant says so.
      }
      tellRunning(task, clock.now(), wrapper.pid);
      armCompletion(task, clock.now());
    } catch (error) {
      refuse(task, error);
    }
  };

  const tellRunning = (task: Task, started_at_ms: number, pid: number | undefined) => {
    const timestamp = started_at_ms / 1000;
    const data = Buffer.from(JSON.stringify({ pid, started_at_ms })).toString('base64');
    tell(task, [
      { state: 'TASK_STARTING', timestamp },
      { state: 'TASK_RUNNING', timestamp, data },
    ]);
  };

  const armCompletion = (task: Task, started_at_ms: number) => {
    const time_ns = task.launch.task.max_completion_time?.nanoseconds;
    if (time_ns === undefined || task.killing !== undefined) return;
    const alarm = clock.wakeAt(started_at_ms + time_ns / 1e6, () =>
      kill(task, graceOf(task.launch), 'max_completion_time'),
    );
    task.alarms.push(alarm);
  };

  // --- end ------------------------------------------------------------------------------------------------------

  /** Reads how a task ended, if it has. */
  const look = (task: Task): boolean => {
    if (task.phase !== 'running') return true;
    attendants.hear(task);
    const text = readIfThere(task.paths.ended);
    if (text === undefined) return false;
    ended(task, parseEnding(text), statSync(task.paths.ended).mtimeMs);
    return true;
  };

  const ended = (task: Task, ending: Ending, at_ms: number) => {
    const limitation = warden.release(task.id);
    if (isContained(task.launch.task)) {
      attendants.over(task, limitation);
      return;
    }
    const succeeded = ending.type === 'exit' && 'code' in ending.exit && ending.exit.code === 0;
    if (limitation !== undefined && task.killing === undefined && !succeeded) {
      end(task, statusOfLimitation(limitation));
      return;
    }
    if (ending.type === 'unknown') {
      unknown(task);
      return;
    }
    if (ending.type === 'failed') {
      // With a kill in the way this is the kill's doing.
      if (task.killing !== undefined) killedBeforeBegun(task);
      else {
        const said = readIfThere(join(task.paths.meta, 'ending'))?.trim();
        refuse(task, new Error(said === undefined || said === '' ? 'the command could not be started' : said));
      }
      return;
    }
    const { exit } = ending;
    const result = readResult(task.paths.sandbox);
    // The result goes first: whoever looks for one need not read on where there is none.
    const data = {
      ...(result === undefined ? {} : { result }),
      ended_at_ms: at_ms,
      ...('code' in exit ? { exit_code: exit.code } : { signal: exit.signal }),
    };
    const { killing } = task;
    const finished = 'code' in exit && exit.code === 0;
    const timed_out = killing?.reason === 'max_completion_time';
    end(task, {
      state: timed_out
        ? 'TASK_FAILED'
        : killing !== undefined
          ? 'TASK_KILLED'
          : finished
            ? 'TASK_FINISHED'
            : 'TASK_FAILED',
      message: textOfExit(exit),
      timestamp: at_ms / 1000,
      data: Buffer.from(JSON.stringify(data)).toString('base64'),
      ...(timed_out ? { reason: 'REASON_MAX_COMPLETION_TIME_REACHED' } : {}),
    });
  };

  /** The wrapper is gone. It ends by leaving word; if there is none, somebody has killed it. */
  const wrapperGone = (task: Task) => {
    if (look(task)) return;
    if (wrapperOf(task.paths) === undefined && neverBegan(task.paths)) {
      if (task.killing === undefined) refuse(task, new Error(whyNotBegun(work_dir)));
      else killedBeforeBegun(task);
    } else unknown(task);
  };

  const unknown = (task: Task) => {
    signalCommand(task.paths, boot, 'SIGKILL');
    if (isContained(task.launch.task) && task.boot === boot) {
      attendants.over(task);
      return;
    }
    endAsAgent(
      task,
      'TASK_FAILED',
      'REASON_EXECUTOR_TERMINATED',
      'Executor terminated: how the command ended is not known',
    );
  };

  // --- kill -----------------------------------------------------------------------------------------------------

  const killedBeforeBegun = (task: Task) =>
    endAsAgent(task, 'TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH', 'Killed before delivery to the executor');

  const kill = (task: Task, grace_ms: number, reason?: Killing['reason']) => {
    if (task.phase === 'ended') return;
    if (task.phase === 'waiting') {
      killedBeforeBegun(task);
      return;
    }
    const before = task.killing;
    const at = clock.now();
    // A second kill may hurry the first, never slow it.
    if (before !== undefined && before.at + before.grace_ms <= at + grace_ms) return;
    task.killing = { at, grace_ms, ...(reason === undefined ? {} : { reason }) };
    note([{ type: 'killing', task: task.id, ...task.killing }]);
    if (before === undefined && reason === undefined) tell(task, [{ state: 'TASK_KILLING' }]);
    carryOutKill(task);
  };

  /** SIGTERM now and SIGKILL when the grace is over; after a restart too. */
  const carryOutKill = (task: Task) => {
    if (task.killing === undefined) return;
    const over_at = task.killing.at + task.killing.grace_ms;
    signal(task, clock.now() < over_at ? 'SIGTERM' : 'SIGKILL');
    if (clock.now() < over_at) task.alarms.push(clock.wakeAt(over_at, () => signal(task, 'SIGKILL')));
  };

  const signal = (task: Task, name: 'SIGTERM' | 'SIGKILL') => {
    if (task.phase !== 'running') return;
    // An attendant that was killed could not end its container any more.
    const hard = isContained(task.launch.task) ? 'SIGUSR2' : 'SIGKILL';
    signalCommand(task.paths, boot, name === 'SIGKILL' ? hard : name);
  };

  // --- orders ---------------------------------------------------------------------------------------------------

  const acknowledged = (task: Task, uuid: string) => {
    const first = task.pending[0];
    if (first?.uuid !== uuid) return;
    task.pending.shift();
    task.acknowledged = first.state;
    if (!terminal_states.has(first.state)) {
      note([{ type: 'acknowledged', task: task.id, uuid }]);
      return;
    }
    tasks.delete(task.id);
    // What is not struck from the notebook must still be there to be read when it is asked about again.
    if (!note([{ type: 'forgotten', task: task.id }])) return;
    forget(task.paths);
    containers.forget(task.id);
  };

  const obey = (order: AgentOrder) => {
    if (!open) return;
    if (order.type === 'launch') {
      launch(order.framework_id, order.launches);
      return;
    }
    const plain = order.type === 'kill' || order.type === 'acknowledge';
    const task = plain ? tasks.get(order.task_id) : undefined;
    if (!plain || task === undefined || task.framework_id !== order.framework_id) {
      executors.obey(order);
      return;
    }
    if (order.type === 'kill')
      kill(task, Math.min(order.grace_ms ?? graceOf(task.launch), order.grace_ms_max ?? Number.POSITIVE_INFINITY));
    else acknowledged(task, order.uuid);
  };

  // --- after a restart ------------------------------------------------------------------------------------------

  const taskOf = (remembered: Remembered): Task => {
    const task_id = remembered.launch.task.task_id.value;
    return {
      ...remembered,
      id: task_id,
      paths: pathsOf(work_dir, id, task_id),
      phase: 'waiting',
      wrapper: undefined,
      alarms: [],
    };
  };

  /** What has become of a task while nobody was here. */
  const recover = (task: Task) => {
    if (task.pending.some(({ state }) => terminal_states.has(state))) {
      task.phase = 'ended';
      return;
    }
    task.phase = 'running';
    const told = task.pending.length > 0 || task.acknowledged !== 'TASK_STAGING';
    if (readIfThere(task.paths.ended) === undefined) {
      if (task.boot !== boot) {
        unknown(task); // The machine went down under it.
        return;
      }
      if (wrapperOf(task.paths) === undefined && neverBegan(task.paths)) {
        const message = 'Task launched during agent restart: it never started';
        endAsAgent(task, 'TASK_DROPPED', 'REASON_AGENT_RESTARTED', message);
        return;
      }
    }
    warden.adopt(wardOf(task, ground));
    const started_at_ms = signedAt(task.paths) ?? task.at;
    const contained = isContained(task.launch.task);
    if (!told && contained) tell(task, [{ state: 'TASK_STARTING' }]);
    if (!told && !contained) tellRunning(task, started_at_ms, wrapperOf(task.paths)?.pid);
    visit(task);
    if (!isRunning(task)) return;
    log.info({ task: task.id }, 'task adopted');
    if (task.killing !== undefined) carryOutKill(task);
    else if (!contained) armCompletion(task, started_at_ms);
    else if (task.alarms.length === 0) armCompletion(task, containers.word(task.id).started?.at_ms ?? clock.now());
  };

  /** Looks after a task whose wrapper is not our child. First whether it is attended, then for word of its end. */
  const visit = (task: Task) => {
    const attended = isAttended(task.paths, boot);
    if (!look(task) && !attended) wrapperGone(task);
  };

  const lookAtAdopted = () => {
    for (const task of tasks.values()) {
      if (task.phase === 'running' && task.wrapper === undefined) visit(task);
    }
    executors.lookAtAll();
    poll = clock.wakeAt(clock.now() + poll_ms, lookAtAdopted);
  };

  const isLive = (name: string) => tasks.has(name) || executors.isLive(name);
  const sweepOld = () => {
    containers.sweep(clock.now(), isLive).then(
      removed => {
        if (removed > 0) log.info({ removed }, 'old containers removed');
      },
      error => log.warn({ error: String(error) }, 'old containers could not be removed'),
    );
    sweepFetched(ground.fetched, options.retention.age_ms_max, clock.now());
    sweep = clock.wakeAt(clock.now() + sweep_ms, sweepOld);
  };

  const info = infoOf(id, options);
  const settings = { ...executor_settings, ...options.executors };
  const token_key = settings.authentication ? keepTokenKey(work_dir) : undefined;
  const executors = hostExecutors({
    ...settings,
    agent: info,
    port: options.door.port,
    boot,
    work_dir,
    clock,
    log,
    master: host,
    processes: tell => executorProcesses({ ...ground, clock, tell }),
    tokenFor: token_key === undefined ? undefined : claims => tokenOf(token_key, claims),
  });

  const inside = { work_dir, agent_id: id, admits: options.admits ?? (() => true) };
  const sessions = sessionsOf({ ...inside, log, boot, tasks, executors, containers, docker: docker.address });

  for (const remembered of checkpoint.remembered.values()) {
    const task = taskOf(remembered);
    tasks.set(task.id, task);
  }
  for (const folder of ['meta', 'ended'])
    for (const name of readdirSync(join(work_dir, folder))) if (!isLive(name)) forget(pathsOf(work_dir, id, name));
  const otherwise = `the ends of adopted tasks are noticed every ${poll_ms} ms`;
  const words = watchFolder(containers.folder, log, otherwise, name => {
    const task = tasks.get(name);
    if (open && task !== undefined) attendants.hear(task);
  });
  const watcher = watchFolder(join(work_dir, 'ended'), log, otherwise, name => {
    const task = tasks.get(name);
    if (!open) return;
    if (task !== undefined) look(task);
    else executors.look(name);
  });
  const report = () => [...tasks.values()].map(reportOf);
  const held = executors.report();
  host.register({ id, obey }, info, [...report(), ...held.tasks], held.executors);
  executors.registered();
  const serveFiles = agentFiles({
    ...inside,
    sandboxOf: executors.sandboxOf,
    statistics: executor_id => statistics(warden.kept(executor_id !== undefined), executor_id),
  });
  const server = serveExecutors(options.door, {
    executors,
    log,
    claimsOf: token_key === undefined ? undefined : token => claimsOf(token_key, token),
    serveOther: async (...asked) => (await sessions.serve(...asked)) || serveFiles(...asked),
  });
  for (const task of [...tasks.values()]) recover(task);
  poll = clock.wakeAt(clock.now() + poll_ms, lookAtAdopted);
  sweepOld();
  const { retention } = options;
  const sandboxes = keepSandboxes({ work_dir, agent_id: id, retention, clock, log, isLive });

  const close = async () => {
    if (!open) return;
    open = false;
    sessions.close();
    executors.close();
    poll?.cancel();
    sweep?.cancel();
    sandboxes.close();
    watcher?.close();
    words?.close();
    for (const task of tasks.values()) for (const alarm of task.alarms) alarm.cancel();
    host.agentGone(id);
    checkpoint.close();
    await warden.close();
    await server.close();
    unlock();
  };
  return {
    id,
    origin: `http://127.0.0.1:${options.door.port}`,
    running: () => left() + executors.running(),
    sandboxes,
    usage: executor_id => usageOf(warden.kept(true), executor_id),
    close,
    async killAll() {
      for (const task of tasks.values()) kill(task, 0);
      await new Promise<void>(resolve => executors.killAll(resolve));
      if (left() > 0) await new Promise<void>(resolve => idle.push(resolve));
    },
  };
}

/** Asked anew after calls that may have ended it. */
const isRunning = (task: Task): boolean => task.phase === 'running';
