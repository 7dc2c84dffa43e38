// usage.test.ts: how what containers use is counted: series that never grow, processes and whose they are, disks, groups.

import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { mountsIn, openCgroups } from '../../mesos/local/limits/cgroups.ts';
import { diskWalk } from '../../mesos/local/limits/disk-walk.ts';
import { ProcessAccounts, type ProcessRow, parseStat } from '../../mesos/local/limits/process-accounts.ts';
import { bornWith, processTable } from '../../mesos/local/limits/process-table.ts';
import { Series } from '../../mesos/local/limits/series.ts';
import { capsOf } from '../../mesos/local/limits/ward.ts';
import type { Resource } from '../../mesos/protocol.ts';

const scalar = (name: string, value: number): Resource => ({ name, type: 'SCALAR', scalar: { value } });

const folder = (t: ExecutionContext) => {
  const path = mkdtempSync(join(tmpdir(), 'horae-usage-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

test('a series of any length is a fixed number of points, from its first to its latest', t => {
  for (const count of [1, 7, 8, 9, 1_000, 100_000]) {
    const series = new Series(8);
    for (let at = 0; at < count; at++) series.add({ at, cpu_s: at / 2, rss_bytes: at * 10, disk_bytes: at * 100 });
    const all = series.all();
    t.true(all.length <= 9 && all.length >= Math.min(count, 4), `${count}: ${all.length}`);
    t.is(all[0]!.at, 0);
    t.deepEqual(all.at(-1), {
      at: count - 1,
      cpu_s: (count - 1) / 2,
      rss_bytes: (count - 1) * 10,
      disk_bytes: (count - 1) * 100,
    });
    const steps = all.slice(1, -1).map(({ at }, index) => at - all[index]!.at);
    t.is(new Set(steps).size <= 1, true, `even steps of ${steps}`);
  }
});

const row = (pid: number, parent: number, more: Partial<ProcessRow> = {}): ProcessRow => ({
  ...{ pid, parent, group: pid, session: pid, start: `${pid * 10}`, cpu_ticks: 5, rss_pages: 100 },
  ...more,
});

test('a process is its container by descent, session, group or mark, and nobody else is', t => {
  const accounts = new ProcessAccounts();
  const asked: number[] = [];
  const marks = new Map([[40, 'a']]);
  const markOf = (pid: number) => {
    asked.push(pid);
    return marks.get(pid);
  };
  const rows = [
    row(1, 0),
    row(10, 1), // a's first
    row(11, 10), // child
    row(12, 1, { session: 10 }), // its parent has ended
    row(13, 1, { group: 10 }),
    row(40, 1), // away by setsid
    row(41, 40), // and its child
    row(20, 1), // b's first
    row(50, 1), // a stranger
  ];
  const roots = new Map([
    [10, 'a'],
    [20, 'b'],
  ]);
  const found = accounts.look(rows, roots, markOf);
  t.deepEqual(found.get('a')?.pids.sort(), [10, 11, 12, 13, 40, 41]);
  t.is(found.get('a')?.rss_pages, 600);
  t.deepEqual(found.get('b')?.pids, [20]);
  const times = asked.length;
  accounts.look(rows, roots, markOf);
  t.is(asked.length, times, 'the environment of a process is looked at once in its life');
});

test('what a process had used stays on the account when it is gone, and a pid that is given anew begins at nothing', t => {
  const accounts = new ProcessAccounts();
  const roots = new Map([[10, 'a']]);
  const look = (...rows: ProcessRow[]) => accounts.look(rows, roots, () => undefined).get('a')?.cpu_ticks;
  t.is(look(row(10, 1), row(11, 10, { cpu_ticks: 100 })), 105);
  t.is(look(row(10, 1, { cpu_ticks: 7 })), 107);
  t.is(look(row(10, 1, { cpu_ticks: 7 }), row(11, 10, { cpu_ticks: 3, start: 'later' })), 110);
});

test('this process is in the table, with a name that holds parentheses too, and what it was born with can be read', t => {
  const own = processTable().find(({ pid }) => pid === process.pid);
  t.true(own !== undefined && own.rss_pages > 1_000);
  t.is(
    bornWith(process.pid, 'PATH'),
    readFileSync('/proc/self/environ', 'utf8')
      .split('\0')
      .find(each => each.startsWith('PATH='))
      ?.slice(5),
  );
  const line = `7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 11 22 0 0 20 0 1 0 555 1000 77 ${'0 '.repeat(28)}`;
  t.deepEqual(parseStat(line), { pid: 7, parent: 1, group: 7, session: 7, start: '555', cpu_ticks: 33, rss_pages: 77 });
  t.is(parseStat(line.replace(' S ', ' Z ')), undefined);
});

const sizeOf = (root: string, entries = 3) => {
  let steps = 0;
  for (const walk = diskWalk(root, entries); ; steps++) {
    const { done, value } = walk.next();
    if (done) return { bytes: value, steps };
  }
};

test('a folder takes what is really written in it: sparse, linked and oddly named files included', t => {
  const root = folder(t);
  const before = sizeOf(root).bytes;
  mkdirSync(join(root, 'deep'));
  writeFileSync(join(root, 'deep', 'big'), Buffer.alloc(1 << 20));
  linkSync(join(root, 'deep', 'big'), join(root, 'again'));
  writeFileSync(join(root, 'sparse'), 'x');
  truncateSync(join(root, 'sparse'), 1 << 30);
  symlinkSync('/usr', join(root, 'out'));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe, 0x0a)]), Buffer.alloc(1 << 20));
  const bytes = sizeOf(root).bytes - before;
  t.true(bytes >= 2 << 20 && bytes < (2 << 20) + 100_000, String(bytes));
});

test('a folder of many files is walked in steps, and one that is gone takes nothing', t => {
  const root = folder(t);
  for (let index = 0; index < 100; index++) writeFileSync(join(root, `f-${index}`), '');
  t.is(sizeOf(root, 10).steps, 10);
  t.deepEqual(sizeOf(join(root, 'nothing')), { bytes: 0, steps: 0 });
});

test('limits are sums; without disk of a task there is no quota', t => {
  const task = [scalar('cpus', 0.5), scalar('mem', 64)];
  const own = [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)];
  t.deepEqual(capsOf([task], own), { cpus: 0.6, mem_mb: 96 });
  t.deepEqual(capsOf([task, [...task, scalar('disk', 5)]], own), { cpus: 1.1, mem_mb: 160, disk_mb: 6 });
  t.deepEqual(capsOf([[]]), {});
});

/** The files of a kernel with version 2 alone, as plain files: what is written where can be seen, nothing is limited. */
function ofVersion2(t: ExecutionContext) {
  const root = folder(t);
  const mountinfo = join(root, 'mountinfo');
  const mount = join(root, 'a mount');
  mkdirSync(mount);
  writeFileSync(join(mount, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  writeFileSync(mountinfo, `31 23 0:28 / ${mount.replace(' ', '\\040')} rw,nosuid - cgroup2 cgroup2 rw\n`);
  return { mount, mountinfo };
}

test('version 2: controllers are handed down, limits are written, what is used is read', t => {
  const { mount, mountinfo } = ofVersion2(t);
  const groups = openCgroups({ agent_id: 'a', cpu_hard: true, now_ms: Date.now(), mountinfo });
  if (typeof groups === 'string') return t.fail(groups);
  const [procs] = groups.make('t', { cpus: 0.5, mem_mb: 64 });
  const path = join(procs!, '..');
  const read = (...names: string[]) => readFileSync(join(...names), 'utf8');
  for (const each of [mount, join(mount, 'horae'), join(mount, 'horae', 'a')])
    t.is(read(each, 'cgroup.subtree_control'), '+memory +cpu');
  t.deepEqual(
    ['memory.max', 'cpu.weight', 'cpu.max'].map(name => read(path, name)),
    [String(64 << 20), '20', '50000 100000'],
  );
  groups.raise('t', { cpus: 0.5, mem_mb: 32 });
  t.is(read(path, 'memory.max'), String(64 << 20), 'a limit is not drawn closer');
  groups.raise('t', { cpus: 0.5, mem_mb: 128 });
  t.is(read(path, 'memory.max'), String(128 << 20));
  const told = {
    'memory.stat': 'anon 5000\nfile 9\n',
    'memory.peak': '7000\n',
    'memory.events': 'low 0\noom 2\noom_kill 1\n',
    'cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
  };
  for (const [name, text] of Object.entries(told)) writeFileSync(join(path, name), text);
  t.deepEqual(groups.read('t'), { cpu_s: 2.5, rss_bytes: 5_000, oom_kills: 1 });
  t.is(groups.highest('t'), 7_000);
  t.is(groups.read('nobody'), undefined);
});

test('where no hierarchy may be used, the answer is why', t => {
  const { mount, mountinfo } = ofVersion2(t);
  writeFileSync(join(mount, 'cgroup.controllers'), 'pids\n');
  t.is(
    openCgroups({ agent_id: 'a', cpu_hard: false, now_ms: Date.now(), mountinfo }),
    'no hierarchy with memory is mounted',
  );
  writeFileSync(mountinfo, '35 31 0:32 / /proc/none rw - cgroup cgroup rw,memory\n');
  t.regex(
    String(openCgroups({ agent_id: 'a', cpu_hard: false, now_ms: Date.now(), mountinfo })),
    /ENOENT|EACCES|EPERM/,
  );
  t.deepEqual(
    [...mountsIn('35 31 0:32 / /x/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n')],
    [
      ['rw', '/x/cpu'],
      ['cpu', '/x/cpu'],
      ['cpuacct', '/x/cpu'],
    ],
  );
});

test('what an agent that was killed for good has left is removed by another, but not what is fresh', t => {
  const { mount, mountinfo } = ofVersion2(t);
  const left = (agent: string, ...groups: string[]) => {
    for (const group of groups) mkdirSync(join(mount, 'horae', agent, group), { recursive: true });
  };
  left('dead', 'one', 'two');
  left('alive', 'fresh');
  const now_ms = Date.now();
  for (const path of ['dead/one', 'dead/two', 'dead', 'alive'])
    utimesSync(join(mount, 'horae', path), now_ms / 1_000 - 4_000, now_ms / 1_000 - 4_000);
  const groups = openCgroups({ agent_id: 'a', cpu_hard: false, now_ms, mountinfo });
  t.not(typeof groups, 'string', String(groups));
  t.false(existsSync(join(mount, 'horae', 'dead')));
  t.true(existsSync(join(mount, 'horae', 'alive', 'fresh')));
});
