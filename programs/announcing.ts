// announcing.ts: service discovery through ZooKeeper, out of the settings: whose ServerSets, where, and what they have to do
// with killing.
//
// Nobody is to be sent to a task that is about to end. Horae's own executor asks before it touches a task, whoever ends it,
// and is answered when the task is off its list. Of a plain command the scheduler is the only one who can wait: its KILL is
// held back so long.

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTaskId, splitInstanceKey } from '../actors/model/ids.ts';
import { hasExecutor } from '../actors/model/processes.ts';
import type { Views } from '../actors/model/views.ts';
import type { Call, Event, MesosLink } from '../mesos/protocol.ts';
import type { Announcer, AnnouncerState } from '../transport/discovery/announcer.ts';
import type { Owner } from '../transport/discovery/claim.ts';
import { readEnsemble } from '../transport/zookeeper/servers.ts';
import { fail, named, Refused } from './refused.ts';
import type { Ground } from './start.ts';

export interface Announcing {
  /** Begins to keep the lists, for a reign. `caught_up`: when the views have everything from before it. */
  begin(owner: Owner, caught_up: Promise<void>): Announcer;
  /** How it stands; undefined while nothing has begun, as on a node that does not lead. */
  state(): AnnouncerState | undefined;
}

/** undefined where nobody wants ServerSets. Nothing of ZooKeeper is loaded then. */
export async function openAnnouncing(
  { settings, log, clock, metrics }: Ground,
  views: Views,
): Promise<Announcing | undefined> {
  const { serversets_zk: ensemble, serversets_zk_auth_file: auth_file } = settings;
  if (ensemble === undefined) return undefined;
  const read = readEnsemble(ensemble, '--serversets-zk');
  if (!read.ok) fail(read.problems);
  const auth = authIn('--serversets-zk-auth-file', auth_file);
  const [{ connectZooKeeper }, { openAnnouncer }] = await Promise.all([
    import('../transport/zookeeper/client.ts'),
    import('../transport/discovery/announcer.ts'),
  ]);
  let current: Announcer | undefined;
  metrics.collect(() => {
    const state = current?.state();
    metrics.record('horae_serverset_writable', undefined, state?.status === 'ok' ? 1 : 0);
    metrics.record('horae_serverset_members', undefined, state?.members ?? 0);
    metrics.record('horae_serverset_lists_waiting', undefined, state?.waiting ?? 0);
  });
  return {
    begin(owner, caught_up) {
      const announcer = openAnnouncer({
        connect: () =>
          connectZooKeeper({
            servers: ensemble.slice(0, ensemble.indexOf('/')),
            session_timeout_ms: settings.zk_session_timeout_ms,
            call_timeout_ms: settings.zk_call_timeout_ms,
            // Whoever looks for a service has no password of ours.
            ...(auth === undefined ? {} : { auth: { scheme: 'digest', id: auth }, acl: 'readable' }),
            clock,
            log,
          }),
        root: read.value.path,
        owner,
        views,
        caught_up,
        withdraw_wait_ms: settings.withdraw_wait_ms,
        check_ms: settings.serversets_check_ms,
        clock,
        log,
        wrote: answer => metrics.record('horae_serverset_writes_total', { answer }, 1),
        withdrew(answer, took_ms) {
          metrics.record('horae_serverset_withdrawals_total', { answer }, 1);
          metrics.record('horae_serverset_withdrawal_seconds', undefined, took_ms / 1_000);
        },
      });
      current = announcer;
      return {
        ...announcer,
        async close() {
          if (current === announcer) current = undefined;
          await announcer.close();
        },
      };
    },
    state: () => current?.state(),
  };
}

/** Names the scheduler of this data directory in ZooKeeper, for as long as the directory lives. */
export function ownerOf(data_dir: string): Owner {
  const path = join(data_dir, 'serversets-id');
  if (!existsSync(path))
    named('--data-dir', path, () => writeFileSync(path, `${randomUUID()}\n`, { flag: 'wx', mode: 0o600 }));
  return { id: named('--data-dir', path, () => readFileSync(path, 'utf8')).trim() };
}

/** USER:PASSWORD on one line of a file. */
export function authIn(flag: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const line = named(flag, path, () => readFileSync(path, 'utf8')).replace(/\r?\n$/, '');
  if (!/^[^:\r\n]+:[^\r\n]+$/.test(line))
    throw new Refused(`${flag} is ${path}: expected USER:PASSWORD on one line, and nothing else`);
  return line;
}

/** A link on which nobody is told to end a task before it is off its list. */
export function withdrawingLink(link: MesosLink, announcer: Pick<Announcer, 'withdraw'>, views: Views): MesosLink {
  let closed = false;
  const answer = (event: Event) => {
    if (event.type !== 'MESSAGE') return;
    const { agent_id, executor_id, data } = event.message;
    const asked = readMessage(data);
    // One executor for each task, named like it: nobody asks for somebody else's.
    if (asked.type !== 'withdraw' || asked.task_id !== executor_id.value) return;
    void announcer.withdraw(executor_id.value).then(() => {
      const told = Buffer.from(JSON.stringify({ type: 'withdrawn', task_id: executor_id.value })).toString('base64');
      if (!closed) void link.call({ type: 'MESSAGE', message: { agent_id, executor_id, data: told } });
    });
  };
  const isHeld = (call: Call): call is Extract<Call, { type: 'KILL' }> => {
    if (call.type !== 'KILL') return false;
    const instance = parseTaskId(call.kill.task_id.value)?.instance;
    const job = instance === undefined ? undefined : views.job(splitInstanceKey(instance).job)?.record.job;
    return job?.announce !== undefined && !hasExecutor(job);
  };
  return {
    subscribe: (request, listener) =>
      link.subscribe(request, {
        ...listener,
        events(events) {
          for (const event of events) answer(event);
          listener.events(events);
        },
      }),
    async call(call) {
      if (!isHeld(call)) return link.call(call);
      await announcer.withdraw(call.kill.task_id.value);
      // Kept in the records: whoever comes next repeats it.
      return closed
        ? { type: 'unsent', message: 'the scheduler ended while the task was taken off its list' }
        : link.call(call);
    },
    close() {
      closed = true;
      return link.close();
    },
  };
}

function readMessage(data: string): { readonly type?: unknown; readonly task_id?: unknown } {
  try {
    const message: unknown = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
    return typeof message === 'object' && message !== null ? message : {};
  } catch {
    return {}; // Executors of others may say anything.
  }
}
