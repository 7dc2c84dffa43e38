// containers.ts: the agent's side of containers: what their attendants are sent to do, what they said, and what they left.
//
//   WORK_DIR/meta/TASK/errand      what the attendant is to do
//   WORK_DIR/containers/TASK       its word (word.ts), renamed into place
//
// An attendant that was killed leaves a container behind, so whoever finds that it ended without a last word asks the engine
// himself, and ends what still runs: a task that was reported as over must be over.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Instant } from '../../../schedules/clock.ts';
import type { Log } from '../agent-options.ts';
import type { Launch } from '../messages.ts';
import { isAlive, readIfThere, signalProcess } from '../processes.ts';
import { path_default } from '../sandbox.ts';
import type { Identity } from '../wrapper.ts';
import type { Errand } from './attendant.ts';
import { type Address, EngineAway, type Inspected, openEngine } from './engine.ts';
import { labels, requestFor } from './request.ts';
import { secretsOutside } from './secrets.ts';
import { type End, parseWord, type Word } from './word.ts';

export type DockerOptions = {
  readonly address: Address;
  /** How long the engine has to come back after a container that died without it. */
  readonly engine_return_ms: number;
  /** How long a container is kept after its end; 0: it goes at once. */
  readonly keep_ms: number;
  /** No more CPU time than its cpus, even when nobody else wants it. */
  readonly cpu_hard: boolean;
  /** The file of `docker login` that counts where a sandbox has none. */
  readonly login: string;
};
export const docker_defaults: DockerOptions = {
  address: { socketPath: '/var/run/docker.sock' },
  engine_return_ms: 60_000,
  keep_ms: 0,
  cpu_hard: false,
  login: join(homedir(), '.docker', 'config.json'),
};

export interface Containers {
  /** Where attendants leave word, by the name of the task. */
  readonly folder: string;
  /** The program that stands beside the container, with nothing of the task in its arguments or environment. */
  attendant(
    launch: Launch,
    framework_id: string,
    paths: { readonly sandbox: string; readonly meta: string },
  ): { readonly argv: readonly string[]; readonly env: Record<string, string> };
  word(task_id: string): Word;
  /** Its first process, while it lives; undefined before, after, and where this machine does not see it. */
  process(task_id: string, boot: string): number | undefined;
  /** Finds out, for good, what became of a container whose attendant is gone without a word of its end. */
  settle(task_id: string, boot: string): Promise<End>;
  forget(task_id: string): void;
  /** Removes containers of this agent that nobody needs any more, running ones of no task too. Returns how many. */
  sweep(now: Instant, isLive: (task_id: string) => boolean): Promise<number>;
}

export function hostContainers(options: {
  readonly work_dir: string;
  readonly agent_id: string;
  readonly docker: DockerOptions;
  readonly log: Log;
}): Containers {
  const { agent_id, docker, log } = options;
  const folder = join(options.work_dir, 'containers');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const engine = openEngine(docker.address);
  const program = fileURLToPath(new URL(`./attendant${extname(import.meta.url)}`, import.meta.url));
  const pathOf = (task_id: string) => join(folder, task_id);
  const wordOf = (task_id: string) => parseWord(readIfThere(pathOf(task_id)));

  /** Those of containers that have started: it is asked for every second. */
  const processes = new Map<string, Identity>();

  const settleWith = async (task_id: string): Promise<End> => {
    const found = await engine.inspect(containerName(agent_id, task_id));
    if (found === undefined) return wordOf(task_id).started === undefined ? nothing_began : removed;
    const never = neverStarted(found);
    if (!found.State.Running && !never) {
      const { ExitCode, OOMKilled, FinishedAt } = found.State;
      if (docker.keep_ms === 0) await engine.remove(found.Id);
      return {
        type: 'exited',
        exit_code: ExitCode,
        oom: OOMKilled && ExitCode !== 0,
        at_ms: Date.parse(FinishedAt) || 0,
      };
    }
    await engine.remove(found.Id);
    return never ? nothing_began : ended_by_us;
  };

  return {
    folder,
    attendant(launch, framework_id, { sandbox, meta }) {
      const { cpu_hard } = docker;
      const secrets = secretsOutside({ meta });
      const request = requestFor(launch.task, { sandbox, agent_id, framework_id, cpu_hard, secrets });
      if ('problem' in request) throw new Error(request.problem);
      const task_id = launch.task.task_id.value;
      const errand: Errand = {
        engine: docker.address,
        name: containerName(agent_id, task_id),
        request,
        word: pathOf(task_id),
        engine_return_ms: docker.engine_return_ms,
        remove: docker.keep_ms === 0,
        logins: [join(sandbox, '.docker', 'config.json'), join(sandbox, '.dockercfg'), docker.login],
      };
      const path = join(meta, 'errand');
      writeFileSync(path, JSON.stringify(errand), { mode: 0o600 });
      return { argv: [process.execPath, ...frugal, program, path], env: { PATH: path_default, HOME: sandbox } };
    },
    word: wordOf,
    process(task_id, boot) {
      const known = processes.get(task_id) ?? wordOf(task_id).started?.process;
      if (known === undefined) return undefined;
      processes.set(task_id, known);
      return isAlive(known, boot) ? known.pid : undefined;
    },
    async settle(task_id, boot) {
      try {
        return await settleWith(task_id);
      } catch (error) {
        const process_ = wordOf(task_id).started?.process;
        if (process_ !== undefined) signalProcess(process_, boot, 'SIGKILL');
        const message = error instanceof Error ? error.message : String(error);
        log.warn({ task: task_id, error: message }, 'what became of a container cannot be asked');
        return { type: 'lost', message: `its attendant is gone, and ${message}` };
      }
    },
    forget(task_id) {
      processes.delete(task_id);
      rmSync(pathOf(task_id), { force: true });
      rmSync(`${pathOf(task_id)}.new`, { force: true });
    },
    async sweep(now, isLive) {
      for (const name of readdirSync(folder))
        if (!isLive(name.replace(/\.new$/, ''))) rmSync(join(folder, name), { force: true });
      let gone = 0;
      try {
        for (const { Id, Labels } of await engine.list(`${labels.agent}=${agent_id}`)) {
          if (isLive(Labels[labels.task] ?? '')) continue;
          const found = await engine.inspect(Id);
          if (found === undefined) continue;
          const ended_at = Date.parse(found.State.FinishedAt);
          if (!found.State.Running && !neverStarted(found) && now - ended_at < docker.keep_ms) continue;
          await engine.remove(Id);
          gone++;
        }
      } catch (error) {
        // Without an engine there is nothing to sweep.
        if (!(error instanceof EngineAway)) throw error;
      }
      return gone;
    },
  };
}

/** There is one attendant for each container, and it holds next to nothing. */
const frugal = ['--max-semi-space-size=1', '--max-old-space-size=64'];
const neverStarted = ({ State }: Inspected) => State.Status === 'created';
const nothing_began: End = { type: 'withdrawn' };
const removed: End = { type: 'lost', message: 'its attendant is gone, and somebody removed the container' };
const ended_by_us: End = { type: 'lost', message: 'its attendant was killed, so the container was ended' };

/** Readable where the engine allows it, and surely this task's alone. */
export function containerName(agent_id: string, task_id: string): string {
  const mark = createHash('sha256').update(`${agent_id}\n${task_id}`).digest('hex').slice(0, 16);
  return `horae-${task_id.replace(/[^A-Za-z0-9_.-]+/g, '_').slice(0, 128)}-${mark}`;
}
