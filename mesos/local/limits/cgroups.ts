// cgroups.ts: containers as groups that the kernel keeps, counts and limits.
//
//   HIERARCHY/horae/AGENT/CONTAINER     under every hierarchy of version 1 that is used, or the one of version 2
//
// Nobody leaves a group by forking, by a session of its own or by outliving its parent, so what the kernel counts here is all
// of it. Groups are made below a folder at the top of each hierarchy, as Mesos and Docker make theirs. Where that may not be
// done (not root, read-only, a container without delegation) the answer is why, and usage is sampled instead.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, isGone, readIfThere } from '../processes.ts';
import type { Caps } from './ward.ts';

export type CgroupUsage = {
  readonly cpu_s: number;
  readonly rss_bytes: number;
  readonly oom_kills: number;
};

export interface Cgroups {
  readonly version: 1 | 2;
  /** Makes the group of a container, limited so. Gives the files into which a process that enters writes its id. */
  make(id: string, caps: Caps): readonly string[];
  /** Lets it have more. A limit is never drawn closer under somebody's feet: what it has would be taken by force. */
  raise(id: string, caps: Caps): void;
  has(id: string): boolean;
  read(id: string): CgroupUsage | undefined;
  /** The most memory that it ever had, in bytes, page cache included: what the limit is held against. */
  highest(id: string): number;
  /** SIGKILL for everybody in it. */
  kill(id: string): void;
  /** False while somebody is left in there. */
  remove(id: string): boolean;
  /** Ends and removes the groups of all containers but these; false while one of them is not empty yet. */
  tidy(ids: Iterable<string>): boolean;
  /** Removes our own folder, where nobody is left in it. */
  close(): void;
}

export type CgroupOptions = {
  /** Names the folder of this agent, so that two agents of one machine do not meet. */
  readonly agent_id: string;
  /** CPU time beyond its share is not given to a container even when nobody else wants it. */
  readonly cpu_hard: boolean;
  /** For whom an empty group is older than `stale_ms`: its agent was killed and is not coming back. */
  readonly now_ms: number;
  /** Where the kernel tells what is mounted where; another in tests. */
  readonly mountinfo?: string;
};

const top = 'horae';
/** Between the making of a group and the first process in it lie seconds. */
const stale_ms = 3_600_000;
const period_us = 100_000;

/** What can be had here, or why nothing can. */
export function openCgroups(options: CgroupOptions): Cgroups | string {
  const mounts = mountsIn(readFileSync(options.mountinfo ?? '/proc/self/mountinfo', 'utf8'));
  try {
    return version1(mounts, options) ?? version2(mounts, options) ?? 'no hierarchy with memory is mounted';
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS', 'EBUSY', 'ENOENT', 'ENOSPC'].some(code => hasCode(error, code)))
      return error instanceof Error ? error.message : String(error);
    throw error;
  }
}

/** Where each controller is, by name; version 2 is named `unified`. */
export function mountsIn(mountinfo: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const path = before
      .split(' ')[4]
      ?.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));
    const [type, , options = ''] = after.split(' ');
    if (path === undefined) continue;
    if (type === 'cgroup2') found.set('unified', path);
    if (type === 'cgroup') for (const name of options.split(',')) found.set(name, path);
  }
  return found;
}

/** What the group of a process has used that somebody else keeps, a container engine; undefined when it is not there. */
export function usageBeside(
  pid: number,
  mounts: ReadonlyMap<string, string>,
): Omit<CgroupUsage, 'oom_kills'> | undefined {
  const paths = new Map<string, string>();
  for (const line of (readIfThere(`/proc/${pid}/cgroup`) ?? '').split('\n')) {
    const [, , names, path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    for (const name of names === '' ? ['unified'] : (names?.split(',') ?? [])) {
      const mount = mounts.get(name);
      if (mount !== undefined && path !== undefined) paths.set(name, join(mount, path));
    }
  }
  const fileOf = (name: string, file: string) => {
    const path = paths.get(name);
    return path === undefined ? undefined : readIfThere(join(path, file));
  };
  const [memory, cpu] = [fileOf('memory', 'memory.stat'), fileOf('cpuacct', 'cpuacct.usage')];
  if (memory !== undefined) return { cpu_s: number(cpu) / 1e9, rss_bytes: field(memory, 'total_rss') };
  const unified = fileOf('unified', 'memory.stat');
  if (unified === undefined) return undefined;
  return { cpu_s: field(fileOf('unified', 'cpu.stat'), 'usage_usec') / 1e6, rss_bytes: field(unified, 'anon') };
}

/** Ids may be as long as a file name may be, and may be called like one of the kernel's files. */
const nameOf = (id: string): string => createHash('sha256').update(id).digest('hex').slice(0, 32);

const number = (text: string | undefined): number => {
  const value = Number(text?.trim() ?? '0');
  return Number.isFinite(value) ? value : 0;
};
const field = (text: string | undefined, name: string): number =>
  number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1]);

/** As Mesos does: 1024 shares are a cpu. */
const sharesOf = (cpus: number) => Math.max(2, Math.round(cpus * 1024));
const quotaOf = (cpus: number) => Math.max(1_000, Math.round(cpus * period_us));
const bytesOf = (mem_mb: number) => Math.round(mem_mb * 2 ** 20);

// --- version 1: a hierarchy for each controller ------------------------------------------------------------------------

function version1(
  mounts: ReadonlyMap<string, string>,
  { agent_id, cpu_hard, now_ms }: CgroupOptions,
): Cgroups | undefined {
  const memory = mounts.get('memory');
  if (memory === undefined) return undefined;
  const cpu = mounts.get('cpu');
  const cpuacct = mounts.get('cpuacct');
  const homes = [...new Set([memory, cpu, cpuacct])]
    .filter(path => path !== undefined)
    .map(path => join(path, top, agent_id));
  for (const home of homes) {
    makeWithParent(home);
    leaveNothing(home, now_ms);
  }
  const home = (mount: string) => join(mount, top, agent_id);
  const limit = (id: string, { cpus, mem_mb }: Caps, raise: boolean) => {
    const name = nameOf(id);
    if (mem_mb !== undefined) {
      const path = join(home(memory), name);
      const bytes = bytesOf(mem_mb);
      const before = number(readIfThere(join(path, 'memory.limit_in_bytes')));
      if (!raise || bytes > before) {
        // Memory with swap may never be less than memory alone, so which comes first depends on where we come from.
        const files = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'];
        for (const file of raise ? files.reverse() : files) writeIfThere(join(path, file), String(bytes));
      }
    }
    if (cpu === undefined || cpus === undefined) return;
    writeFileSync(join(home(cpu), name, 'cpu.shares'), String(sharesOf(cpus)));
    if (cpu_hard) writeIfThere(join(home(cpu), name, 'cpu.cfs_quota_us'), String(quotaOf(cpus)));
  };
  return {
    version: 1,
    make(id, caps) {
      for (const each of homes) {
        // Taken for left behind by somebody who cleans up.
        makeWithParent(each);
        make(join(each, nameOf(id)));
      }
      limit(id, caps, false);
      return homes.map(each => join(each, nameOf(id), 'cgroup.procs'));
    },
    raise: (id, caps) => limit(id, caps, true),
    has: id => readIfThere(join(home(memory), nameOf(id), 'cgroup.procs')) !== undefined,
    read(id) {
      const path = join(home(memory), nameOf(id));
      const stat = readIfThere(join(path, 'memory.stat'));
      if (stat === undefined) return undefined;
      const ticks = cpuacct === undefined ? undefined : readIfThere(join(home(cpuacct), nameOf(id), 'cpuacct.usage'));
      return {
        cpu_s: number(ticks) / 1e9,
        rss_bytes: field(stat, 'total_rss'),
        oom_kills: field(readIfThere(join(path, 'memory.oom_control')), 'oom_kill'),
      };
    },
    highest: id => number(readIfThere(join(home(memory), nameOf(id), 'memory.max_usage_in_bytes'))),
    kill: id => killAllIn(join(home(memory), nameOf(id))),
    remove: id => homes.map(each => removed(join(each, nameOf(id)))).every(Boolean),
    tidy: ids => tidyIn(homes, ids),
    close: () => homes.forEach(leave),
  };
}

// --- version 2: one hierarchy for all ----------------------------------------------------------------------------------

function version2(
  mounts: ReadonlyMap<string, string>,
  { agent_id, cpu_hard, now_ms }: CgroupOptions,
): Cgroups | undefined {
  const mount = mounts.get('unified');
  if (mount === undefined) return undefined;
  const given = (readIfThere(join(mount, 'cgroup.controllers')) ?? '').trim().split(' ');
  if (!given.includes('memory')) return undefined;
  const home = join(mount, top, agent_id);
  const wanted = ['memory', 'cpu'].filter(name => given.includes(name)).map(name => `+${name}`);
  // A group hands its controllers down to its children one by one, and may not do so while it holds processes itself.
  const handDown = () => {
    for (const folder of [mount, join(mount, top), home]) {
      if (folder !== mount) make(folder);
      writeFileSync(join(folder, 'cgroup.subtree_control'), wanted.join(' '));
    }
  };
  handDown();
  leaveNothing(home, now_ms);
  const path = (id: string) => join(home, nameOf(id));
  const limit = (id: string, { cpus, mem_mb }: Caps, raise: boolean) => {
    if (mem_mb !== undefined) {
      const bytes = bytesOf(mem_mb);
      if (!raise || bytes > number(readIfThere(join(path(id), 'memory.max'))))
        writeFileSync(join(path(id), 'memory.max'), String(bytes));
    }
    if (cpus === undefined || !given.includes('cpu')) return;
    // The range of shares laid over that of weights, as systemd and runc do.
    const weight = 1 + Math.round(((Math.min(262_144, sharesOf(cpus)) - 2) * 9_999) / 262_142);
    writeFileSync(join(path(id), 'cpu.weight'), String(weight));
    if (cpu_hard) writeFileSync(join(path(id), 'cpu.max'), `${quotaOf(cpus)} ${period_us}`);
  };
  return {
    version: 2,
    make(id, caps) {
      if (readIfThere(join(home, 'cgroup.subtree_control')) === undefined) handDown();
      make(path(id));
      limit(id, caps, false);
      writeIfThere(join(path(id), 'memory.swap.max'), '0');
      // One of it that is killed for want of memory takes all of it along: half a task helps nobody.
      writeIfThere(join(path(id), 'memory.oom.group'), '1');
      return [join(path(id), 'cgroup.procs')];
    },
    raise: (id, caps) => limit(id, caps, true),
    has: id => readIfThere(join(path(id), 'cgroup.procs')) !== undefined,
    read(id) {
      const stat = readIfThere(join(path(id), 'memory.stat'));
      if (stat === undefined) return undefined;
      return {
        cpu_s: field(readIfThere(join(path(id), 'cpu.stat')), 'usage_usec') / 1e6,
        rss_bytes: field(stat, 'anon'),
        oom_kills: field(readIfThere(join(path(id), 'memory.events')), 'oom_kill'),
      };
    },
    highest: id => number(readIfThere(join(path(id), 'memory.peak')) ?? readIfThere(join(path(id), 'memory.current'))),
    kill(id) {
      if (!writeIfThere(join(path(id), 'cgroup.kill'), '1')) killAllIn(path(id));
    },
    remove: id => removed(path(id)),
    tidy: ids => tidyIn([home], ids),
    close: () => leave(home),
  };
}

// --- common ------------------------------------------------------------------------------------------------------------

/** False where the kernel has no such file: swap that is not counted, an older kernel. It never makes one here. */
function writeIfThere(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Whoever forks while he is looked for is found in the next round. */
function killAllIn(path: string): void {
  for (let round = 0; round < 20; round++) {
    const pids = (readIfThere(join(path, 'cgroup.procs')) ?? '')
      .split('\n')
      .map(Number)
      .filter(pid => pid > 0);
    if (pids.length === 0) return;
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (!isGone(error)) throw error;
      }
  }
}

/** One folder at a time: asked for all at once, Node tries for ever where a kernel's file system says no in an unusual way. */
function make(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
}

function makeWithParent(path: string): void {
  make(join(path, '..'));
  make(path);
}

function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    if (hasCode(error, 'EBUSY') || hasCode(error, 'ENOTEMPTY')) return false;
    throw error;
  }
}

function tidyIn(homes: readonly string[], ids: Iterable<string>): boolean {
  let done = true;
  const names = new Set([...ids].map(nameOf));
  for (const home of homes)
    for (const entry of foldersIn(home)) {
      const path = join(home, entry);
      if (names.has(entry) || removed(path)) continue;
      done = false;
      killAllIn(path);
    }
  return done;
}

/** Removes what agents have left that were killed for good: empty groups of long ago, and their folders. */
function leaveNothing(own: string, now_ms: number): void {
  const all = join(own, '..');
  for (const agent of foldersIn(all)) {
    const home = join(all, agent);
    if (home === own) continue;
    // Asked before: what is removed from a folder makes it young.
    const stale = isStale(home, now_ms);
    let left = 0;
    for (const entry of foldersIn(home)) {
      const path = join(home, entry);
      if (!isStale(path, now_ms) || !removed(path)) left++;
    }
    if (stale && left === 0) removed(home);
  }
}

function isStale(path: string, now_ms: number): boolean {
  try {
    return now_ms - statSync(path).mtimeMs > stale_ms;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true; // Somebody else cleans up too.
    throw error;
  }
}

const leave = (home: string): void => {
  if (removed(home)) removed(join(home, '..'));
};

function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
