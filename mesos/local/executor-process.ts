// executor-process.ts: custom executors as processes of this machine: fetched, started, adopted, ended.
//
// The same night porter stands beside an executor as beside a plain task (`wrapper.ts`), so it survives its agent, and how
// it ended is there to be read. When it has ended, by itself or because it had to, nothing of it stays behind: a process
// that it detached would otherwise run beside the next copy of its task.

import { appendFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../schedules/clock.ts';
import type { CommandInfo, ContainerInfo } from '../protocol.ts';
import type { Log } from './agent-options.ts';
import { isAttended, neverBegan, wrapperOf } from './claims.ts';
import { dressed } from './dress.ts';
import { type FetchTerms, fetchAll } from './fetch/fetcher.ts';
import { rlimitsOf } from './limits/rlimits.ts';
import { type Confinement, confinementOf, handOver } from './limits/users.ts';
import type { Caps, Limitation, Ward } from './limits/ward.ts';
import type { Warden } from './limits/warden.ts';
import { startWrapper } from './process-start.ts';
import { killTree } from './process-tree.ts';
import { hasCode, isAlive, readIfThere } from './processes.ts';
import { forgetFetched, markFetching, unmarkFetching } from './removal.ts';
import { argumentsOf, pathsOf } from './sandbox.ts';
import { secretsOf } from './secret-wishes.ts';
import { forgetSecrets, getSecrets, layOut, type SecretSource, type Secrets } from './secrets.ts';
import { forget } from './work-dir.ts';
import { parseEnding, parseIdentity } from './wrapper.ts';

/** One life of an executor. */
export type Run = {
  readonly container_id: string;
  readonly framework_id: string;
  readonly executor_id: string;
  readonly command: CommandInfo;
  /** Its limits, and files that are secrets. */
  readonly container: ContainerInfo | undefined;
  /** What it and its tasks may use. */
  readonly caps: Caps;
  readonly environment: (sandbox: string) => Record<string, string>;
};

/** What must be known of a run that lives. */
export type Lodging = Omit<Run, 'command' | 'container' | 'environment'>;

/** How it ended: `status` as waitpid has it. */
export type RunEnd = {
  readonly status: number;
  readonly launch_failure?: string;
  readonly never_began?: boolean;
  /** The limit that it had broken. */
  readonly limitation?: Limitation;
};

export type RunListener = {
  readonly started: (container_id: string, pid: number | undefined) => void;
  readonly exited: (container_id: string, end: RunEnd) => void;
};

export interface ExecutorProcesses {
  start(run: Run): void;
  /** Takes over a run of an earlier agent; its end is told by and by, if it has not ended already. */
  adopt(run: Lodging, boot: string): RunEnd | undefined;
  /** SIGKILL for all of it. Its end is told like every end. */
  destroy(container_id: string): void;
  /** There is more that it may use: it has another task. */
  raise(container_id: string, caps: Caps): void;
  /** Gives a task the executor's sandbox under its own name too. */
  link(task_id: string, container_id: string): void;
  /** Looks whether this run has ended; false when there is no such run. */
  look(container_id: string): boolean;
  /** Looks at every run that is not our child, should word of its end have been missed. */
  lookAtAll(): void;
  /** Removes what was kept of a run beside its sandbox. */
  forget(container_id: string): void;
  /** Lets go of everything: executors live on, what is being fetched is given up. */
  close(): void;
}

export type ExecutorProcessesOptions = {
  readonly work_dir: string;
  readonly agent_id: string;
  readonly wrapper_path: string;
  readonly boot: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly tell: RunListener;
  readonly warden: Warden;
  readonly fetch: FetchTerms;
  readonly secrets: SecretSource | undefined;
};

/** Where an agent keeps what was fetched for all. */
export const fetchedIn = (work_dir: string): string => join(work_dir, 'fetched');

const killed_status = 9;

export function executorProcesses(options: ExecutorProcessesOptions): ExecutorProcesses {
  const { work_dir, agent_id, wrapper_path, boot, log, tell } = options;
  /** What we look after. `fetching` while it is not started; `ours` when its wrapper is our child. */
  const runs = new Map<string, { fetching: AbortController | undefined; ours: boolean }>();
  let open = true;
  const paths = (container_id: string) => pathsOf(work_dir, agent_id, container_id);

  const over = (container_id: string, end: RunEnd) => {
    if (!open || !runs.delete(container_id)) return;
    forgetAll(container_id);
    const limitation = options.warden.release(container_id);
    tell.exited(container_id, limitation === undefined ? end : { ...end, limitation });
  };
  /** With its end its secrets go, and with an end before its beginning all that was fetched; how it ended is told in any case. */
  const forgetAll = (container_id: string) => {
    try {
      forgetSecrets(paths(container_id).sandbox);
    } catch (error) {
      const about = { container: container_id, error: String(error) };
      log.warn(about, 'the secrets of an executor that ended cannot be removed from its sandbox');
    }
    forgetFetched(paths(container_id).sandbox).catch(error => {
      const about = { container: container_id, error: String(error) };
      log.warn(about, 'what was fetched for an executor that never began cannot be removed');
    });
  };
  const wardOf = ({ container_id, framework_id, executor_id, caps }: Lodging): Ward => {
    const { sandbox, meta } = paths(container_id);
    return { id: container_id, framework_id, executor_id, sandbox, meta, caps };
  };

  const begin = async (run: Run, stop: AbortController) => {
    const { container_id, command, container } = run;
    const { sandbox } = paths(container_id);
    const stderr = join(sandbox, 'stderr');
    const uris = command.uris ?? [];
    let confinement: Confinement;
    let secrets: Secrets;
    let fetching = uris.length > 0;
    try {
      confinement = confinementOf(command, rlimitsOf(container));
      const wishes = secretsOf(run);
      mkdirSync(sandbox, { mode: 0o750 });
      if (uris.length > 0) markFetching(sandbox);
      await fetchAll(uris, {
        sandbox,
        cache: fetchedIn(work_dir),
        now: options.clock.now(),
        user: confinement.user,
        terms: options.fetch,
        say: line => appendFileSync(stderr, `${line}\n`),
        signal: stop.signal,
      });
      fetching = false;
      secrets = await getSecrets(wishes, options.secrets, stop.signal);
      stop.signal.throwIfAborted();
    } catch (error) {
      if (!open) return;
      const of = `Failed to fetch all URIs for container '${container_id}'`;
      // Before the files that it needs there is nothing to be killed but their fetching.
      if (stop.signal.aborted)
        over(container_id, { status: killed_status, launch_failure: `${of}: terminated with signal Killed` });
      else {
        const why = error instanceof Error ? error.message : String(error);
        log.warn({ container: container_id, error: why }, 'an executor could not be fetched');
        const launch_failure = fetching ? `${of}: exited with status 1` : why;
        over(container_id, { status: 256, launch_failure });
      }
      return;
    }
    if (!open) return;
    spawnWrapper(run, confinement, secrets);
  };

  const spawnWrapper = (run: Run, confinement: Confinement, secrets: Secrets) => {
    const { container_id, command, environment } = run;
    const { sandbox, meta } = paths(container_id);
    const cannot = (error: unknown) => {
      const launch_failure = error instanceof Error ? error.message : String(error);
      over(container_id, { status: 256, launch_failure });
    };
    try {
      unmarkFetching(sandbox);
      layOut(secrets, sandbox);
      if (confinement.user !== undefined) handOver(sandbox, confinement.user, work_dir);
      mkdirSync(meta, { mode: 0o700 });
      options.warden.admit(wardOf(run));
      const variables = { ...environment(sandbox), ...secrets.variables };
      const dress = dressed(argumentsOf(command), variables, confinement, meta);
      const wrapper = startWrapper(wrapper_path, paths(container_id), dress);
      wrapper.on('error', cannot);
      if (wrapper.pid === undefined) return;
      const known = runs.get(container_id);
      if (known !== undefined) {
        known.fetching = undefined;
        known.ours = true;
      }
      wrapper.on('exit', () => wrapperGone(container_id));
      tell.started(container_id, wrapper.pid);
    } catch (error) {
      cannot(error);
    }
  };

  /** Its word is there, or it has none to give: then somebody has killed it, and the executor is to go too. */
  const wrapperGone = (container_id: string) => {
    if (!open || !runs.has(container_id) || look(container_id)) return;
    end(container_id, undefined);
  };

  const look = (container_id: string): boolean => {
    const text = readIfThere(paths(container_id).ended);
    if (text === undefined || !runs.has(container_id)) return false;
    end(container_id, text);
    return true;
  };

  const end = (container_id: string, word: string | undefined) => over(container_id, endOf(container_id, word));

  /** Reads the porter's last word, and sees to it that nobody stays behind. */
  const endOf = (container_id: string, word: string | undefined): RunEnd => {
    sweep(container_id);
    if (word === undefined) return { status: killed_status };
    const ending = parseEnding(word);
    if (ending.type === 'exit') return { status: 'code' in ending.exit ? ending.exit.code << 8 : ending.exit.signal };
    if (ending.type === 'unknown') return { status: killed_status };
    const said = readIfThere(join(paths(container_id).meta, 'ending'))?.trim();
    return { status: 256, launch_failure: said || 'the command could not be started' };
  };

  /** Kills whatever there is of a run, but for those who stand beside it. */
  const sweep = (container_id: string) => {
    const { sandbox, pid } = paths(container_id);
    const leader = parseIdentity(readIfThere(pid));
    const alive = leader !== undefined && isAlive(leader, boot);
    // The wrapper, and setsid under it, must live to tell how it ended.
    const wrapper = wrapperOf(paths(container_id));
    const beside = wrapper !== undefined && isAlive(wrapper, boot) ? wrapper.pid : undefined;
    const killed = killTree(alive ? leader.pid : undefined, `MESOS_SANDBOX=${sandbox}`, beside);
    if (killed > 0) log.info({ container: container_id, processes: killed }, 'processes of an executor killed');
  };

  /** What became of a run of an earlier agent; undefined: it lives, and is looked after from now on. */
  const found = (run: Lodging, boot_then: string): RunEnd | undefined => {
    const { container_id } = run;
    const { ended } = paths(container_id);
    const word = readIfThere(ended);
    if (word !== undefined) return endOf(container_id, word);
    // The machine went down under it.
    if (boot_then !== boot) return { status: killed_status };
    if (wrapperOf(paths(container_id)) === undefined && neverBegan(paths(container_id)))
      return { status: 0, never_began: true };
    // First whether it is attended, then for word of its end: it may be ending at this moment.
    const attended = isAttended(paths(container_id), boot);
    const late = readIfThere(ended);
    if (late !== undefined || !attended) return endOf(container_id, late);
    options.warden.adopt(wardOf(run));
    runs.set(container_id, { fetching: undefined, ours: false });
    tell.started(container_id, wrapperOf(paths(container_id))?.pid);
    return undefined;
  };

  return {
    start(run) {
      const stop = new AbortController();
      runs.set(run.container_id, { fetching: stop, ours: false });
      void begin(run, stop);
    },
    adopt(run, boot_then) {
      const end = found(run, boot_then);
      if (end !== undefined) forgetAll(run.container_id);
      return end;
    },
    destroy(container_id) {
      const run = runs.get(container_id);
      if (run === undefined) return;
      if (run.fetching !== undefined) {
        run.fetching.abort();
        return;
      }
      try {
        // Asked for by the wrapper before it lets anybody in.
        appendFileSync(paths(container_id).kill, '');
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) log.warn({ error: String(error) }, 'a kill could not be written down');
      }
      sweep(container_id);
    },
    raise: options.warden.raise,
    link(task_id, container_id) {
      try {
        symlinkSync(container_id, paths(task_id).sandbox);
      } catch (error) {
        // Something of that name is there: the logs stay where they are, under the container's.
        log.warn({ task: task_id, error: String(error) }, 'a task could not be given the sandbox of its executor');
      }
    },
    look,
    lookAtAll() {
      for (const [container_id, { fetching, ours }] of [...runs]) {
        if (fetching !== undefined || ours) continue;
        const attended = isAttended(paths(container_id), boot);
        if (!look(container_id) && !attended) wrapperGone(container_id);
      }
    },
    forget(container_id) {
      forget(paths(container_id));
    },
    close() {
      open = false;
      for (const { fetching } of runs.values()) fetching?.abort();
    },
  };
}
