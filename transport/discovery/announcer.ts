// announcer.ts: keeps ServerSets in ZooKeeper as the records want them, for as long as this scheduler leads.
//
// Nothing is queued but the names of lists that may have to change: what should stand there is looked up when it is written,
// so however long ZooKeeper is away, each list waits once. Whatever is written goes out in one transaction with a look at the
// claim (claim.ts), and what became of a lost answer is read. Nothing here holds back the scheduler; only who is about to end
// a task may wait for it to be off its list, and not for ever.

import { identifier, type JobKey, jobKey, parseTaskId, splitInstanceKey, splitRunKey } from '../../actors/model/ids.ts';
import type { JobRecord } from '../../actors/model/records.ts';
import type { FeedChange, Views } from '../../actors/model/views.ts';
import type { Clock } from '../../schedules/clock.ts';
import { type Operation, type ZooKeeper, ZooKeeperError } from '../zookeeper/zookeeper.ts';
import { claim, claimPath, type Owner } from './claim.ts';
import { changesOf, isMember, listOf, member_prefix, type Node, wishedOf } from './serversets.ts';

export type AnnouncerOptions = {
  /** Begins a session; its calls come to an end. */
  readonly connect: () => ZooKeeper;
  /** Below it are the lists. */
  readonly root: string;
  readonly owner: Owner;
  readonly views: Views;
  /** Resolves when the views have everything that was committed before this reign: nothing is written earlier. */
  readonly caught_up: Promise<void>;
  readonly withdraw_wait_ms: number;
  /** How often it is looked whether somebody else has changed the lists. */
  readonly check_ms: number;
  readonly clock: Clock;
  readonly log: AnnouncerLog;
  readonly wrote: (answer: 'done' | 'failed') => void;
  readonly withdrew: (answer: Withdrawal, took_ms: number) => void;
};
export type AnnouncerLog = {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};
/** `gone`: ZooKeeper has it so. `late`: it has not said so within the time that may be waited. */
export type Withdrawal = 'gone' | 'late';
/**
 * `away`: ZooKeeper does not answer; wishes wait. `refused`: it answers, and says no. `foreign`, `deposed`: somebody else writes
 * there.
 */
export type AnnouncerState = {
  readonly status: 'ok' | 'away' | 'refused' | 'foreign' | 'deposed';
  /** Since when, on the wall clock. */
  readonly since: number;
  readonly why?: string;
  /** Members in the lists, as far as they have been read or written. */
  readonly members: number;
  /** Lists that wait to be written. */
  readonly waiting: number;
};
export interface Announcer {
  /** Takes a task off its list, whatever its record says, and tells when it is off. At once when it is on none. */
  withdraw(task_id: string): Promise<void>;
  state(): AnnouncerState;
  /** Ends the session; members stay. */
  close(): Promise<void>;
}

/** Lists read or written side by side. */
const lists_at_once = 32;
/** Members that are added or removed in one transaction, and the bytes of those: a packet holds four times as much. */
const steps_max = 200;
const step_bytes_max = 262_144;
const retry_ms = 100;
const retry_ms_max = 5_000;
/** Whoever has to set right what stands in our way is a person. */
const claim_again_ms = 10_000;

/** Our members of one list by name, and the names of what else is there: members that others announce themselves. */
type List = { readonly members: ReadonlyMap<string, string>; readonly others: ReadonlySet<string> };
type Waiter = { readonly settle: (how: Withdrawal) => void; readonly is_waiting: () => boolean };

export function openAnnouncer(options: AnnouncerOptions): Announcer {
  const { root, views, clock, log } = options;
  let owner = options.owner;
  const announced = new Set<JobKey>();
  const dirty = new Set<JobKey>();
  const lists = new Map<JobKey, List>();
  /** Tasks that are to be off although their records do not say so (yet). */
  const withdrawn = new Map<JobKey, Set<string>>();
  const waiters = new Map<JobKey, Set<Waiter>>();
  let status: Pick<AnnouncerState, 'status' | 'since' | 'why'> = { status: 'away', since: clock.now() };
  let told = false;
  let version: number | undefined;
  let surveyed = false;
  let closed = false;
  let zk: ZooKeeper | undefined;
  let bell = Promise.withResolvers<void>();

  const ring = () => {
    bell.resolve();
    bell = Promise.withResolvers<void>();
  };
  /** Until somebody rings, or for so long. */
  const rest = async (ms: number) => {
    const alarm = clock.wakeAt(clock.now() + ms, ring);
    await bell.promise;
    alarm.cancel();
  };
  /** For so long, whoever rings. */
  const pause = async (ms: number) => {
    const until = clock.monotonic() + ms;
    for (let left = ms; left > 0 && !closed; left = until - clock.monotonic()) await rest(left);
  };
  const become = (next: AnnouncerState['status'], why?: string) => {
    if (status.status === next && status.why === why) return;
    const is_news = status.status !== next || !told;
    told = true;
    status = { status: next, since: is_news ? clock.now() : status.since, ...(why === undefined ? {} : { why }) };
    if (!is_news) return;
    const fields = { path: root, ...(why === undefined ? {} : { why }), waiting: dirty.size };
    if (next === 'ok') log.info(fields, 'ServerSets are being written');
    else if (next === 'away') log.warn(fields, 'ServerSets cannot be written: ZooKeeper does not answer');
    else log.error(fields, 'ServerSets cannot be written');
    // Nobody need wait for what will not happen.
    if (next === 'foreign' || next === 'deposed') for (const key of [...waiters.keys()]) letGo(key, 'late');
  };
  const letGo = (key: JobKey, how: Withdrawal) => {
    const those = waiters.get(key) ?? [];
    waiters.delete(key);
    for (const { settle } of those) settle(how);
  };
  const touch = (key: JobKey) => {
    dirty.add(key);
    ring();
  };

  // --- what should be ----------------------------------------------------------------------------------------------

  const note = ({ kind, key, body }: FeedChange) => {
    if (kind === 'job') {
      const before = announced.has(key);
      if ((body as JobRecord | undefined)?.job.announce === undefined) announced.delete(key);
      else announced.add(key);
      if (before || announced.has(key)) touch(key);
    } else if (announced.size > 0 && (kind === 'instance' || kind === 'run')) {
      const { job } = kind === 'run' ? splitRunKey(key) : splitInstanceKey(key);
      if (announced.has(job)) touch(job);
    }
  };
  const wished = (key: JobKey): readonly string[] => {
    const all = wishedOf(views.job(key));
    const off = withdrawn.get(key);
    if (off !== undefined) {
      // Its record says it too by now, or its job knows it no more.
      for (const task_id of off) if (!all.has(task_id)) off.delete(task_id);
      if (off.size === 0) withdrawn.delete(key);
    }
    return [...all].flatMap(([task_id, text]) => (off?.has(task_id) ? [] : [text]));
  };

  // --- what is -----------------------------------------------------------------------------------------------------

  /** undefined: there is no such list. */
  const read = async (from: ZooKeeper, key: JobKey): Promise<List | undefined> => {
    const path = listOf(root, key);
    const names = await from.children(path);
    if (names === undefined) return undefined;
    const found = await Promise.all(
      names.map(async (name): Promise<Node | undefined> => {
        const node = isMember(name) ? await from.get(`${path}/${name}`) : undefined;
        // One that goes with somebody's session is that somebody's.
        if (node === undefined || !/^0*$/.test(node.stat.ephemeral_owner)) return undefined;
        return { name, text: Buffer.from(node.data).toString('utf8') };
      }),
    );
    const members = new Map(found.flatMap(one => (one === undefined ? [] : [[one.name, one.text] as const])));
    return { members, others: new Set(names.filter(name => !members.has(name))) };
  };

  const write = async (to: ZooKeeper, key: JobKey) => {
    const asking = waiters.get(key);
    waiters.delete(key);
    try {
      const wish = wished(key);
      const before = lists.get(key) ?? (await read(to, key));
      const members = new Map(before?.members);
      const changes = changesOf(
        [...members].map(([name, text]) => ({ name, text })),
        wish,
      );
      const path = listOf(root, key);
      if (changes.add.length > 0 && before === undefined) await to.mkdirs(path);
      // What comes before what goes: nobody is to find an empty list in between.
      const steps: Step[] = [...changes.add.map(add => ({ add })), ...changes.remove.map(remove => ({ remove }))];
      for (const some of piecesOf(steps)) {
        const operations = some.map(
          (one): Operation =>
            'add' in one
              ? { type: 'create', path: `${path}/${member_prefix}`, data: Buffer.from(one.add), sequential: true }
              : { type: 'delete', path: `${path}/${one.remove}` },
        );
        const fence: Operation = { type: 'check', path: claimPath(root), version: version! };
        const [, ...made] = await to.multi([fence, ...operations]);
        for (const [index, one] of some.entries())
          if ('add' in one) members.set(made[index]!.slice(path.length + 1), one.add);
          else members.delete(one.remove);
      }
      if (steps.length > 0) options.wrote('done');
      if (views.job(key) === undefined) await discard(to, key, before !== undefined || steps.length > 0);
      else if (announced.has(key)) lists.set(key, { members, others: before?.others ?? new Set() });
      else lists.delete(key);
      for (const { settle } of asking ?? []) settle('gone');
    } catch (error) {
      options.wrote('failed');
      lists.delete(key);
      dirty.add(key);
      const still = [...(asking ?? [])].filter(waiter => waiter.is_waiting());
      if (still.length > 0) waiters.set(key, new Set([...(waiters.get(key) ?? []), ...still]));
      throw error;
    }
  };

  /** The job is gone: so is its list, unless others are in it. */
  const discard = async (from: ZooKeeper, key: JobKey, is_there: boolean) => {
    lists.delete(key);
    if (!is_there) return;
    await from.delete(listOf(root, key)).catch(error => {
      if (!(error instanceof ZooKeeperError) || !['not-empty', 'no-node'].includes(error.code)) throw error;
    });
  };

  /** Lists of jobs that are gone, or announced no more: a scheduler that was away, or its predecessor, may have left them. */
  const survey = async (from: ZooKeeper) => {
    const below = async (path: string) =>
      ((await from.children(path === '' ? '/' : path)) ?? []).filter(name => identifier.test(name));
    const top = root === '/' ? '' : root;
    for (const role of await below(top))
      for (const environment of await below(`${top}/${role}`))
        for (const name of await below(`${top}/${role}/${environment}`)) dirty.add(jobKey(role, environment, name));
  };

  /** Whether others have been at our lists. */
  const check = async (from: ZooKeeper) => {
    await severally([...lists], async ([key, { members, others }]) => {
      const names = await from.children(listOf(root, key));
      const same = names?.every(name => members.has(name) || others.has(name)) && names.length >= members.size;
      if (same === true && [...members.keys()].every(name => names!.includes(name))) return;
      lists.delete(key);
      dirty.add(key);
    });
  };

  // --- the work ----------------------------------------------------------------------------------------------------

  /** One session: until it ends, or nothing more can be done. */
  const serve = async (session: ZooKeeper) => {
    let failures = 0;
    let checked_at = clock.monotonic();
    lists.clear();
    for (const key of announced) dirty.add(key);
    while (!closed) {
      const state = session.state();
      if (state === 'auth-failed') return become('refused', 'ZooKeeper refuses our authentication');
      if (state === 'expired' || state === 'closed') return become('away', `the session has ${state}`);
      if (state !== 'connected') {
        if (status.status === 'ok') become('away', 'the connection broke');
        await rest(options.check_ms);
        continue;
      }
      try {
        if (version === undefined && !(await enter(session))) continue;
        if (!surveyed) {
          await survey(session);
          surveyed = true;
        }
        if (clock.monotonic() - checked_at >= options.check_ms) {
          await check(session);
          checked_at = clock.monotonic();
        }
        const keys = [...dirty];
        dirty.clear();
        await severally(keys, key => write(session, key)).catch(error => {
          for (const key of keys) dirty.add(key);
          throw error;
        });
        become('ok');
        failures = 0;
        if (dirty.size === 0 && !closed) await rest(Math.max(1, checked_at + options.check_ms - clock.monotonic()));
      } catch (error) {
        failures = await trouble(error, failures);
      }
    }
  };

  /** Puts our name in. false: somebody else's is there. */
  const enter = async (session: ZooKeeper): Promise<boolean> => {
    const claimed = await claim(session, root, owner);
    switch (claimed.type) {
      case 'ours':
        ({ version } = claimed);
        // From now on a later epoch than this one is somebody else's.
        owner = { ...owner, epoch: claimed.epoch };
        return true;
      case 'deposed':
        become('deposed', `another node writes there, under epoch ${claimed.epoch}`);
        break;
      case 'foreign': {
        const what = `${claimPath(root)} names another scheduler (${claimed.owner})`;
        become('foreign', `${what}: expected a path of our own, or that node removed if that scheduler is gone`);
        break;
      }
    }
    await pause(claim_again_ms);
    return false;
  };

  const trouble = async (error: unknown, failures: number): Promise<number> => {
    const code = error instanceof ZooKeeperError ? error.code : undefined;
    // Somebody else has claimed it, or removed a member: both are found out by looking again, at once the first time.
    if (code === 'bad-version' || code === 'no-node') version = undefined;
    else if (code === undefined || code === 'no-auth' || code === 'other') become('refused', String(error));
    else if (code === 'connection-loss') become('away', String(error));
    const again = failures + 1;
    if (again > 1 || version !== undefined) await pause(Math.min(retry_ms_max, retry_ms * 2 ** Math.min(20, failures)));
    return again;
  };

  const live = async () => {
    await options.caught_up;
    for (let after: string | undefined; ; ) {
      const page = views.jobs(1_000, after);
      for (const { key, record } of page) if (record.job.announce !== undefined) announced.add(key);
      after = page.at(-1)?.key;
      if (page.length < 1_000) break;
    }
    while (!closed) {
      const session = options.connect();
      zk = session;
      const stop = session.onState(ring);
      try {
        await serve(session);
      } finally {
        stop();
        await session.close();
      }
      if (!closed) await pause(retry_ms_max / 5);
    }
  };

  const unsubscribe = views.subscribe(({ changes }) => changes.forEach(note));
  const living = live().catch(error => {
    if (!closed) become('refused', String(error));
  });

  return {
    async withdraw(task_id) {
      const key = jobOf(task_id);
      if (key === undefined || closed || status.status === 'foreign' || status.status === 'deposed') return;
      if (views.job(key)?.record.job.announce === undefined) return;
      const off = withdrawn.get(key);
      if (off === undefined) withdrawn.set(key, new Set([task_id]));
      else off.add(task_id);
      const since = clock.monotonic();
      const how = await new Promise<Withdrawal>(resolve => {
        let is_waiting = true;
        const waiter: Waiter = {
          settle(how) {
            is_waiting = false;
            alarm.cancel();
            resolve(how);
          },
          is_waiting: () => is_waiting,
        };
        const alarm = clock.wakeAt(clock.now() + options.withdraw_wait_ms, () => {
          waiters.get(key)?.delete(waiter);
          waiter.settle('late');
        });
        waiters.set(key, (waiters.get(key) ?? new Set()).add(waiter));
        touch(key);
      });
      options.withdrew(how, clock.monotonic() - since);
      if (how === 'late')
        log.warn({ task: task_id, ...status }, 'a task is being ended that may still be in its ServerSet');
    },
    state: () => ({
      ...status,
      members: [...lists.values()].reduce((sum, { members }) => sum + members.size, 0),
      waiting: dirty.size,
    }),
    async close() {
      closed = true;
      unsubscribe();
      for (const key of [...waiters.keys()]) letGo(key, 'late');
      ring();
      await zk?.close();
      await living;
    },
  };
}

const jobOf = (task_id: string): JobKey | undefined => {
  const instance = parseTaskId(task_id)?.instance;
  return instance === undefined ? undefined : splitInstanceKey(instance).job;
};

type Step = { readonly add: string } | { readonly remove: string };

/** As many in each as fit into one transaction. */
function* piecesOf(steps: readonly Step[]): Generator<readonly Step[]> {
  let piece: Step[] = [];
  let bytes = 0;
  for (const step of steps) {
    const more = 'add' in step ? Buffer.byteLength(step.add) : 0;
    if (piece.length > 0 && (piece.length >= steps_max || bytes + more > step_bytes_max)) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(step);
    bytes += more;
  }
  if (piece.length > 0) yield piece;
}

/** All of them, so many at a time; then the first thing that went wrong, if anything did. */
async function severally<T>(items: readonly T[], perform: (item: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  for (let from = 0; from < items.length && errors.length === 0; from += lists_at_once) {
    const settled = await Promise.allSettled(items.slice(from, from + lists_at_once).map(perform));
    for (const one of settled) if (one.status === 'rejected') errors.push(one.reason);
  }
  if (errors.length > 0) throw errors[0];
}
