// updates.ts: a service in a simulated world, updates of it, and what is to be seen of both.

import type { Answer } from '../../../actors/model/commands.ts';
import type { JobSubmission } from '../../../actors/model/job.ts';
import { type Ranges, rangesOf } from '../../../actors/model/ranges.ts';
import type { FinishedAttempt, InstanceRecord } from '../../../actors/model/records.ts';
import { update_defaults } from '../../../actors/model/update-request.ts';
import type { FinishedUpdate, Instructions, UpdateEvent, UpdateRecord } from '../../../actors/model/updates.ts';
import { lifeOfCommand } from '../../../mesos/local/index.ts';
import { job, type World, type WorldOptions, world } from '../../support/world.ts';

export const key = 'www/prod/web';
export const web = (more: Partial<JobSubmission> = {}): JobSubmission => ({
  role: 'www',
  environment: 'prod',
  name: 'web',
  command: 'sleep infinity',
  service: true,
  instances: 3,
  ...more,
});

export type Stage = {
  readonly w: World;
  /** Asks for an update to this; `how` beside what is usual. */
  readonly update: (to: JobSubmission, how?: Partial<Instructions>, also?: Also) => Promise<Answer>;
  readonly steer: (what: 'pause' | 'resume' | 'abort' | 'rollback' | 'pulse', update?: string) => Promise<Answer>;
  readonly pass: (ms: number) => Promise<void>;
  /** The update that is not over. */
  readonly active: () => UpdateRecord | undefined;
  /** The one that ended last. */
  readonly last: () => FinishedUpdate | undefined;
  readonly status: () => string | undefined;
  /** The diary of the newest update: `STATUS`, or an index with what became of it. */
  readonly diary: () => readonly string[];
  readonly events: () => readonly UpdateEvent[];
  /** Status of each instance that is there, by index: `0 running sleep infinity`. */
  readonly seen: () => readonly string[];
  readonly instances: () => ReadonlyMap<number, InstanceRecord>;
  /** Indexes that run this command, by the agents' own word. */
  readonly running: (command: string) => readonly number[];
  /** Attempts that have ended by themselves. */
  readonly failures: () => number;
};
type Also = { readonly only?: Ranges; readonly request?: string; readonly message?: string };

export async function stage(submission: JobSubmission = web(), options: WorldOptions = {}): Promise<Stage> {
  /** What each task that ever reached an agent was to run. */
  const commands = new Map<string, string>();
  const w = await world({
    agents: 4,
    ...options,
    life: task => {
      const command = task.command?.value ?? '';
      commands.set(task.task_id.value, command);
      return (options.life ?? lifeOfCommand)(task);
    },
  });
  const created = await w.create(submission);
  if (created.type !== 'created') throw new Error(JSON.stringify(created));
  await w.until(w.clock.now() + 10_000);
  let requests = 0;

  const rows = <T>(kind: 'update-event' | 'finished-update' | 'finished-attempt') =>
    w.journal.page(kind, `${key}/`, 100_000).rows.map(row => ({ key: row.key, body: row.body as T }));
  const active = () => w.outbox.latest('update', key) as UpdateRecord | undefined;
  const last = () => rows<FinishedUpdate>('finished-update')[0]?.body;
  const events = () => {
    const all = rows<UpdateEvent>('update-event').reverse();
    const newest = all.at(-1)?.key.split('/')[3];
    return all.filter(one => one.key.split('/')[3] === newest).map(one => one.body);
  };
  const instances = () =>
    new Map(
      [...w.outbox.entries('instance')]
        .filter(([name]) => name.startsWith(`${key}/`))
        .map(([name, body]) => [Number(name.slice(name.lastIndexOf('/') + 1)), body as InstanceRecord] as const)
        .sort(([a], [b]) => a - b),
    );
  const living = () =>
    [...w.mesos.host.master.agents.values()].flatMap(agent =>
      [...agent.tasks.values()].filter(task => !task.ended).map(task => task.id),
    );
  const indexOf = (task_id: string) => Number(task_id.split(':').at(-2));
  return {
    w,
    update: (to, how = {}, also = {}) =>
      w.submit({
        type: 'start-update',
        key,
        job: job(to),
        how: { ...update_defaults, watch_ms: 10_000, ...how },
        request: `u${requests++}`,
        ...also,
      }),
    steer: (what, update) => w.submit({ type: 'steer-update', key, what, ...(update === undefined ? {} : { update }) }),
    pass: ms => w.until(w.clock.now() + ms),
    active,
    last,
    status: () => active()?.status ?? last()?.status,
    events,
    diary: () =>
      events().map(one => ('status' in one ? one.status : `${one.index} ${one.action.replace('INSTANCE_', '')}`)),
    instances,
    seen: () => [...instances()].flatMap(([index, at]) => (at.status === 'over' ? [] : [`${index} ${at.status}`])),
    running: command =>
      living()
        .filter(id => commands.get(id)?.includes(command))
        .map(indexOf)
        .sort((a, b) => a - b),
    failures: () =>
      rows<FinishedAttempt>('finished-attempt').filter(
        ({ body }) => body.outcome === 'failed' || body.outcome === 'finished',
      ).length,
  };
}

/** The indexes that a list of diary lines says of: `take(diary, 'UPDATING')` is in which order they were taken up. */
export const order = (diary: readonly string[], action: string): readonly number[] =>
  diary.filter(line => line.endsWith(` ${action}`)).map(line => Number(line.split(' ')[0]));
export { rangesOf };
