// warden.ts: sees to it that nobody takes more than he was given, and keeps the books of what each has taken.
//
// He has two ways of looking: the kernel's own groups where they may be used (`cgroups.ts`), rounds through /proc where not.
// Whoever has taken too much is written down first and ended then, so that an agent that comes back knows why it ended. His
// rounds cost a fixed part of a core at most: one that took long is followed by a longer rest.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Wake } from '../../../schedules/clock.ts';
import type { Log } from '../agent-options.ts';
import { wrapperOf } from '../claims.ts';
import { killTree } from '../process-tree.ts';
import { hasCode, readIfThere } from '../processes.ts';
import { type Identity, parseIdentity } from '../wrapper.ts';
import { type Cgroups, mountsIn, openCgroups, usageBeside } from './cgroups.ts';
import { diskWalk } from './disk-walk.ts';
import { type Account, ProcessAccounts } from './process-accounts.ts';
import { bornWith, pageBytes, processTable, sharedOnce, ticks_per_s } from './process-table.ts';
import { Series } from './series.ts';
import { type Caps, type Limitation, overDisk, overMemory, parseLimitation, type Ward } from './ward.ts';

export type WardenSettings = {
  /** `auto`: the kernel's groups where they can be had. `sampled`: never. `off`: nothing is looked at or limited. */
  readonly limits: 'auto' | 'sampled' | 'off';
  readonly cpu_hard: boolean;
  /** Between two looks at memory and CPU, and at disks, when looking is cheap. */
  readonly usage_ms: number;
  readonly disk_ms: number;
  /** Of one container. */
  readonly points_max: number;
  /** Containers that have ended and whose books are kept. */
  readonly ended_max: number;
};
export const warden_defaults: WardenSettings = {
  limits: 'off',
  cpu_hard: false,
  usage_ms: 1_000,
  disk_ms: 5_000,
  points_max: 240,
  ended_max: 200,
};

export interface Warden {
  /** Before its first process. What it throws is why the container cannot be started. */
  admit(ward: Ward): void;
  /** One that was there before we were. */
  adopt(ward: Ward): void;
  /** It is given more. */
  raise(id: string, caps: Caps): void;
  /** Its first process has ended: ends whoever is left, and tells which limit it had broken, if any. */
  release(id: string): Limitation | undefined;
  /** Of those that live, or, for somebody who asks by name, those that ended lately too. */
  kept(ended_too?: boolean): Iterable<{ readonly ward: Ward; readonly series: Series }>;
  /** Lets go of all: whoever lives stays in his group, for the next agent to find. */
  close(): Promise<void>;
}

type Kept = {
  ward: Ward;
  readonly series: Series;
  readonly grouped: boolean;
  cpu_s: number;
  /** Of which what an engine keeps for it. */
  beside_cpu_s: number;
  rss_bytes: number;
  disk_bytes: number;
  /** Its first process, once that has signed. */
  first: Identity | undefined;
  /** Why it is being ended. */
  limitation: Limitation | undefined;
};

/** CPU time of this thread: on a machine under load hours by the wall say nothing of what our looking costs. */
function spentMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** A round is followed by a rest of so many times its length. */
const rest_times = 200;
const leave_ms_max = 5_000;
/** Files looked at between two turns of the event loop. */
const step_entries = 200;
/** A file into which the first process writes itself for each line in it, before it becomes the task (`wrapper.ts`). */
const enter = 'enter';
const mark = 'MESOS_SANDBOX';

export function openWarden(
  agent_id: string,
  settings: WardenSettings,
  { clock, log, boot }: { readonly clock: Clock; readonly log: Log; readonly boot: string },
): Warden {
  const kept = new Map<string, Kept>();
  const ended = new Map<string, Kept>();
  const accounts = new ProcessAccounts();
  let open = true;
  let groups: Cgroups | undefined;
  if (settings.limits === 'auto') {
    const found = openCgroups({ agent_id, cpu_hard: settings.cpu_hard, now_ms: clock.now() });
    if (typeof found !== 'string') groups = found;
    else
      log.warn(
        { why: found },
        'no control groups here: memory is looked at now and then, CPU is counted and not limited',
      );
  }
  const page_bytes = pageBytes();
  let mounted: ReadonlyMap<string, string> | undefined;
  const mounts = () => {
    mounted ??= mountsIn(readFileSync('/proc/self/mountinfo', 'utf8'));
    return mounted;
  };

  const keep = (ward: Ward, grouped: boolean) => {
    const used = { cpu_s: 0, beside_cpu_s: 0, rss_bytes: 0, disk_bytes: 0 };
    const fresh = { ward, grouped, series: new Series(settings.points_max), ...used };
    kept.set(ward.id, { ...fresh, first: undefined, limitation: undefined });
  };

  // --- ending -----------------------------------------------------------------------------------------------------

  /** Written down, then done: whoever reads how it ended finds why. */
  const endFor = (one: Kept, limitation: Limitation) => {
    if (one.limitation !== undefined) return;
    one.limitation = limitation;
    log.warn({ container: one.ward.id, reason: limitation.reason }, limitation.message);
    try {
      writeFileSync(join(one.ward.meta, 'limitation'), `${JSON.stringify(limitation)}\n`);
    } catch (error) {
      // A full disk keeps nobody alive, and we know it as long as we live; its folder gone, it has ended.
      if (!hasCode(error, 'ENOSPC') && !hasCode(error, 'EDQUOT') && !hasCode(error, 'ENOENT')) throw error;
    }
    endAll(one);
  };

  const endAll = ({ ward, grouped }: Kept) => {
    if (grouped) groups?.kill(ward.id);
    else {
      // The wrapper, and setsid under it, shall write down how it ended.
      const first = parseIdentity(readIfThere(join(ward.meta, 'pid')));
      const wrapper = wrapperOf({ claim: join(ward.meta, 'claim') });
      killTree(first?.boot === boot ? first.pid : undefined, `${mark}=${ward.sandbox}`, wrapper?.pid);
    }
  };

  /** After a restart too, from what was written; and what the kernel has done by itself. */
  const limitationOf = ({ ward, limitation, grouped }: Kept): Limitation | undefined => {
    const known = limitation ?? parseLimitation(readIfThere(join(ward.meta, 'limitation')));
    if (known !== undefined || !grouped) return known;
    const read = groups?.read(ward.id);
    if (read === undefined || read.oom_kills === 0 || ward.caps.mem_mb === undefined) return undefined;
    return overMemory(ward.caps.mem_mb, groups?.highest(ward.id) ?? 0);
  };

  // --- rounds -----------------------------------------------------------------------------------------------------

  const note = (one: Kept) => {
    const { cpu_s, rss_bytes, disk_bytes } = one;
    one.series.add({ at: clock.now(), cpu_s, rss_bytes, disk_bytes });
  };

  /** With what is kept beside it. What that had used is not forgotten when it is gone. */
  const count = (one: Kept, read: { readonly cpu_s: number; readonly rss_bytes: number }) => {
    const pid = one.ward.beside?.();
    const beside = pid === undefined ? undefined : usageBeside(pid, mounts());
    one.beside_cpu_s = Math.max(one.beside_cpu_s, beside?.cpu_s ?? 0);
    one.cpu_s = read.cpu_s + one.beside_cpu_s;
    one.rss_bytes = read.rss_bytes + (beside?.rss_bytes ?? 0);
    note(one);
  };

  const lookAtGroup = (one: Kept) => {
    const read = groups?.read(one.ward.id);
    if (read === undefined) return;
    count(one, read);
    const { mem_mb } = one.ward.caps;
    if (read.oom_kills > 0 && mem_mb !== undefined) endFor(one, overMemory(mem_mb, groups?.highest(one.ward.id) ?? 0));
  };

  const lookAtProcesses = (sampled: readonly Kept[]) => {
    const roots = new Map<number, string>();
    const by_sandbox = new Map<string, string>();
    for (const one of sampled) {
      const { ward } = one;
      by_sandbox.set(ward.sandbox, ward.id);
      one.first ??= parseIdentity(readIfThere(join(ward.meta, 'pid')));
      if (one.first !== undefined && one.first.boot === boot) roots.set(one.first.pid, ward.id);
      const beside = ward.beside?.();
      if (beside !== undefined) roots.set(beside, ward.id);
    }
    const markOf = (pid: number) => by_sandbox.get(bornWith(pid, mark) ?? '');
    const found = accounts.look(processTable(), roots, markOf);
    for (const one of sampled) {
      const account = found.get(one.ward.id);
      one.rss_bytes = (account?.rss_pages ?? 0) * page_bytes;
      if (account === undefined) continue;
      one.cpu_s = account.cpu_ticks / ticks_per_s;
      note(one);
      weigh(one, account);
    }
  };

  /** Pages that its processes share were counted for each; where that decides, they are counted once. */
  const weigh = (one: Kept, { pids }: Account) => {
    const { mem_mb } = one.ward.caps;
    if (mem_mb === undefined || one.rss_bytes <= mem_mb * 2 ** 20) return;
    const bytes = sharedOnce(pids);
    if (bytes > mem_mb * 2 ** 20) endFor(one, overMemory(mem_mb, bytes));
  };

  let usage_wake: Wake | undefined;
  const usageRound = () => {
    const before = spentMs();
    const sampled: Kept[] = [];
    try {
      for (const one of kept.values())
        if (one.grouped) lookAtGroup(one);
        else sampled.push(one);
      if (sampled.length > 0) lookAtProcesses(sampled);
    } catch (error) {
      log.error({ error: String(error) }, 'what containers use could not be looked at');
    }
    const rest = Math.max(settings.usage_ms, (spentMs() - before) * rest_times);
    usage_wake = clock.wakeAt(clock.now() + rest, usageRound);
  };

  /** Time spent in the walk itself: what the event loop does between two steps is not ours. */
  const measure = async (one: Kept): Promise<number> => {
    const walk = diskWalk(one.ward.sandbox, step_entries);
    let spent_ms = 0;
    for (;;) {
      const before = spentMs();
      const step = walk.next();
      spent_ms += spentMs() - before;
      if (!open || kept.get(one.ward.id) !== one) {
        walk.return(0);
        return spent_ms;
      }
      const { disk_mb } = one.ward.caps;
      if (disk_mb !== undefined && step.value > disk_mb * 2 ** 20) {
        one.disk_bytes = step.value;
        note(one);
        endFor(one, overDisk(disk_mb, step.value));
        walk.return(0);
        return spent_ms;
      }
      if (step.done) {
        one.disk_bytes = step.value;
        return spent_ms;
      }
      await nextTurn();
    }
  };

  let disk_wake: Wake | undefined;
  const diskRound = async () => {
    let spent_ms = 0;
    for (const one of [...kept.values()]) {
      if (!open) return;
      if (one.limitation !== undefined || kept.get(one.ward.id) !== one) continue;
      try {
        spent_ms += await measure(one);
      } catch (error) {
        log.error({ error: String(error), container: one.ward.id }, 'the disk of a container could not be measured');
      }
      if (spent_ms > 5) await nextTurn();
    }
    if (open) groups?.tidy(kept.keys());
    if (open)
      disk_wake = clock.wakeAt(clock.now() + Math.max(settings.disk_ms, spent_ms * rest_times), () => void diskRound());
  };

  if (settings.limits !== 'off') {
    usage_wake = clock.wakeAt(clock.now() + settings.usage_ms, usageRound);
    disk_wake = clock.wakeAt(clock.now() + settings.disk_ms, () => void diskRound());
  }

  return {
    admit(ward) {
      if (settings.limits === 'off') return;
      if (groups !== undefined) {
        const files = groups.make(ward.id, ward.caps);
        writeFileSync(join(ward.meta, enter), files.map(file => `${file}\n`).join(''));
      }
      keep(ward, groups !== undefined);
    },
    adopt(ward) {
      if (settings.limits !== 'off') keep(ward, groups?.has(ward.id) ?? false);
    },
    raise(id, caps) {
      const one = kept.get(id);
      if (one === undefined) return;
      const { caps: before } = one.ward;
      const most = (name: keyof Caps) => {
        const [old, now] = [before[name], caps[name]];
        return old === undefined || now === undefined ? {} : { [name]: Math.max(old, now) };
      };
      one.ward = { ...one.ward, caps: { ...most('cpus'), ...most('mem_mb'), ...most('disk_mb') } };
      if (one.grouped) groups?.raise(id, one.ward.caps);
    },
    release(id) {
      const one = kept.get(id);
      if (one === undefined) return undefined;
      kept.delete(id);
      if (one.grouped) lookLast(one);
      const limitation = limitationOf(one);
      // Sampled, nobody is looked for: that would be a look at every process of the machine for every task that ends.
      if (one.grouped) groups?.kill(id);
      accounts.forget(id);
      if (one.grouped) groups?.remove(id);
      ended.set(id, one);
      const [oldest] = ended.keys();
      if (ended.size > settings.ended_max && oldest !== undefined) ended.delete(oldest);
      return limitation;
    },
    *kept(ended_too = false) {
      yield* kept.values();
      if (ended_too) yield* ended.values();
    },
    async close() {
      open = false;
      usage_wake?.cancel();
      disk_wake?.cancel();
      // Whoever was killed a moment ago may still be on his way out, and a group goes only when it is empty.
      const given_up_at = clock.monotonic() + leave_ms_max;
      while (groups?.tidy(kept.keys()) === false && clock.monotonic() < given_up_at) await nextTurn();
      groups?.close();
    },
  };

  /** What a short task has used is known at its end only. */
  function lookLast(one: Kept): void {
    const read = groups?.read(one.ward.id);
    if (read !== undefined) count(one, read);
  }
}
