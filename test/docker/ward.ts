// ward.ts: a one-machine Mesos whose agent has a real Docker engine, for the tests of a file.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalMesosOptions, resourcesFor, startLocalMesos } from '../../mesos/local/index.ts';
import type { ContainerInfo } from '../../mesos/protocol.ts';
import { systemClock } from '../../schedules/clock.ts';
import { type Json, scalar, subscribe } from '../mesos-local/support/client.ts';
import type { TestEngine } from '../support/docker.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';

export const terminal = ['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_DROPPED', 'TASK_LOST'];

type Options = {
  readonly socket: string;
  readonly engine_return_ms?: number;
  readonly keep_ms?: number;
  readonly login?: string;
  readonly limits?: LocalMesosOptions['limits'];
};

/** An agent of that engine, and a framework that launches on it. */
export async function openWard(t: Owner, { socket, limits, ...docker }: Options, work_dir = wardFolder(t)) {
  const mesos = await startLocalMesos({
    work_dir,
    clock: systemClock(),
    log: { info() {}, warn() {}, error() {} },
    resources: resourcesFor({ cpus: 100, mem: 100_000, disk: 100_000, ports: [31000, 32000] }),
    ...(limits === undefined ? {} : { limits }),
    docker: { address: { socketPath: socket }, ...docker },
  });
  let open = true;
  const close = async () => {
    open = false;
    await mesos.close();
  };
  t.teardown(async () => {
    if (!open) return;
    await mesos.agent?.killAll();
    await close();
  });
  const client = await subscribe(mesos);
  const used = new Set<string>();
  const scheduler = {
    ...client,
    /** From the largest offer: those of a few tasks' leavings are as small as they were. */
    async launch(tasks: Json[]) {
      const cpus = ({ resources }: Json) => resources.find(({ name }: Json) => name === 'cpus')?.scalar.value ?? 0;
      const offer = await until('an offer that is large enough', () => {
        const offers: Json[] = client.events.flatMap(event => event.offers?.offers ?? []);
        return offers.filter(({ id }) => !used.has(id.value)).find(one => cpus(one) > 10);
      });
      used.add(offer.id.value);
      const task_infos = tasks.map(task => ({ agent_id: offer.agent_id, ...task }));
      return client.accept(offer, [{ type: 'LAUNCH', launch: { task_infos } }]);
    },
    /** Says what came instead when it does not come. */
    reached: (task: string, ...states: string[]): Promise<Json> =>
      until(
        () => `${task} to be ${states.join(' or ')}: it was told ${JSON.stringify(client.statuses(task))}`,
        () => client.statuses(task).find(({ state }) => states.includes(state)),
      ),
  };
  const agent = mesos.agent!;
  return {
    ...mesos,
    agent,
    work_dir,
    scheduler,
    close,
    sandbox: (task: string, file = '') => join(work_dir, 'sandboxes', agent.id, task, file),
    output: (task: string, file = 'stdout') => readFileSync(join(work_dir, 'sandboxes', agent.id, task, file), 'utf8'),
    kill: (task: string, grace_ms?: number) =>
      scheduler.call({
        type: 'KILL',
        kill: {
          task_id: { value: task },
          ...(grace_ms === undefined ? {} : { kill_policy: { grace_period: { nanoseconds: grace_ms * 1e6 } } }),
        },
      }),
    /** Launches it and comes back with its end. */
    async outcome(task: Json): Promise<Json> {
      await scheduler.launch([task]);
      return scheduler.reached(task.task_id.value, ...terminal);
    },
  };
}

export function wardFolder(t: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'horae-ward-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function folderIn(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  return folder;
}

/** A task that runs a line in a container of busybox. */
export const contained = (
  id: string,
  value: string | undefined,
  docker: Partial<NonNullable<ContainerInfo['docker']>> = {},
  more: Json = {},
): Json => ({
  name: id,
  task_id: { value: id },
  resources: [scalar('cpus', 0.1), scalar('mem', more.mem ?? 64)],
  command: { shell: value !== undefined, value, ...more.command },
  container: { type: 'DOCKER', docker: { image: 'busybox:1', ...docker }, ...more.container },
  ...(more.kill_policy === undefined ? {} : { kill_policy: more.kill_policy }),
  ...(more.max_completion_time === undefined ? {} : { max_completion_time: more.max_completion_time }),
});

export const param = (key: string, value: string) => ({ key, value });

/** Nothing of a task is left in its engine. */
export const isEmpty = async (engine: TestEngine) => (await engine.api.list()).length === 0;
